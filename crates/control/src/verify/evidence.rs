use memcloud_domain::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator, IntoStaticStr};

use crate::instances::Reason;

/// One thing that a working instance does.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Criterion {
    /// A message is stored in less than two seconds.
    Store,
    /// A search finds the right message first.
    Search,
    /// A message is found from another session.
    OtherSession,
    /// No request of the verification timed out.
    NoTimeout,
    /// What was stored is there after a restart of the process.
    Persistence,
    /// A fact is learned from messages.
    Profile,
    /// A chat knows what was said before, in its session and in another one.
    Chat,
}

impl Criterion {
    fn needs_llm(self) -> bool {
        matches!(self, Self::Profile | Self::Chat)
    }
}

/// What a criterion's check found.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// It was seen to work.
    Passed,
    /// It was seen not to work.
    Failed,
    /// It cannot be checked, such as a chat without a language model.
    NotChecked,
}

/// What was seen of one criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was checked.
    pub criterion: Criterion,
    /// What was found.
    pub outcome: Outcome,
    /// What was sent: method, path and body. No secret.
    pub sent: String,
    /// What came back, shortened.
    pub received: String,
    /// How long it took.
    pub millis: f64,
    /// When.
    #[serde(with = "moment")]
    pub at: Timestamp,
    /// Why it failed, or why it was not checked.
    pub reason: Option<Reason>,
}

/// Whether no criterion failed, and each that needs no language model passed. If not, the reason of the first that did not,
/// with its name.
pub fn verdict(evidence: &[Evidence]) -> Result<(), Reason> {
    judge(evidence, Criterion::iter())
}

/// The same without the criteria that need a language model: whether the memory itself works.
pub fn verdict_of_memory(evidence: &[Evidence]) -> Result<(), Reason> {
    judge(evidence, Criterion::iter().filter(|criterion| !criterion.needs_llm()))
}

fn judge(evidence: &[Evidence], criteria: impl Iterator<Item = Criterion>) -> Result<(), Reason> {
    for criterion in criteria {
        let seen = evidence.iter().find(|seen| seen.criterion == criterion);
        match seen {
            Some(seen) if seen.outcome == Outcome::Passed => {}
            Some(seen) if seen.outcome == Outcome::NotChecked && criterion.needs_llm() => {}
            seen => {
                let reason = seen.and_then(|seen| seen.reason.clone());
                let reason =
                    reason.unwrap_or_else(|| Reason::new("it was not checked", "verify the instance"));
                return Err(Reason::new(format!("{criterion}: {}", reason.message), reason.hint));
            }
        }
    }
    Ok(())
}

/// A moment as text.
mod moment {
    use memcloud_domain::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(super) fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(moment)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
