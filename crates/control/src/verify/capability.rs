use memcloud_domain::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator, IntoStaticStr};

use super::{Criterion, Evidence, Outcome};
use crate::instances::Reason;

/// Evidence that is older proves nothing any more: one day, in microseconds.
const MAX_AGE: i64 = 24 * 60 * 60 * 1_000_000;

/// Something that people want of an instance.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
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
pub enum CapabilityName {
    /// It stores and finds.
    MemoryWorking,
    /// It keeps what it stored.
    Persistence,
    /// It learns facts.
    Profile,
    /// It chats with memory.
    ChatEnabled,
}

/// Whether an instance was seen to have a capability.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CapabilityState {
    /// It was, within the last day.
    Yes,
    /// It was seen not to.
    No,
    /// There is no evidence, or it is older than a day.
    NotChecked,
}

/// A capability of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Capability {
    /// Its name.
    pub name: CapabilityName,
    /// Whether the instance has it.
    pub state: CapabilityState,
    /// When that was last checked.
    pub checked_at: Option<Timestamp>,
    /// Why it is not there, or not checked.
    pub reason: Option<Reason>,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

impl CapabilityName {
    fn criteria(self) -> &'static [Criterion] {
        match self {
            Self::MemoryWorking => {
                &[Criterion::Store, Criterion::Search, Criterion::OtherSession, Criterion::NoTimeout]
            }
            Self::Persistence => &[Criterion::Persistence],
            Self::Profile => &[Criterion::Profile],
            Self::ChatEnabled => &[Criterion::Chat],
        }
    }
}

/// The capabilities that follow from the newest evidence of each criterion.
pub fn capabilities(evidence: &[Evidence], now: Timestamp) -> Vec<Capability> {
    CapabilityName::iter().map(|name| capability(name, evidence, now)).collect()
}

fn capability(name: CapabilityName, evidence: &[Evidence], now: Timestamp) -> Capability {
    let of = |criterion: &Criterion| evidence.iter().find(|seen| seen.criterion == *criterion);
    let seen: Vec<Evidence> = name.criteria().iter().filter_map(of).cloned().collect();
    let is_fresh = |seen: &Evidence| now.as_micros() - seen.at.as_micros() < MAX_AGE;
    let failed = seen.iter().find(|seen| seen.outcome == Outcome::Failed);
    let state = if failed.is_some() {
        CapabilityState::No
    } else if seen.len() == name.criteria().len()
        && seen.iter().all(|seen| seen.outcome == Outcome::Passed && is_fresh(seen))
    {
        CapabilityState::Yes
    } else {
        CapabilityState::NotChecked
    };
    let unchecked = seen.iter().find(|seen| seen.outcome == Outcome::NotChecked);
    let reason = failed.or(unchecked).and_then(|seen| seen.reason.clone());
    let reason = reason.or_else(|| match state {
        CapabilityState::NotChecked if seen.is_empty() => {
            Some(Reason::new("it was not checked yet", "verify the instance"))
        }
        CapabilityState::NotChecked => {
            Some(Reason::new("the last check is older than a day", "verify the instance"))
        }
        _ => None,
    });
    Capability { name, state, checked_at: seen.iter().map(|seen| seen.at).min(), reason, evidence: seen }
}
