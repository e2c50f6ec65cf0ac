//! What goes wrong: at random by a seed, and where a test asks for it.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::call::Call;
use crate::failure::Failure;

/// How hostile the cloud is to every request. A correct client always gets through: after some failures in a row, the
/// same request succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Faults {
    /// Nothing fails by itself.
    #[default]
    None,
    /// One request in ten fails, and what was changed takes effect a little later.
    Some,
    /// One request in three fails, operations pend longer, and answers are lost.
    Hostile,
}

impl Faults {
    /// How many requests of a hundred fail.
    fn rate(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Some => 10,
            Self::Hostile => 35,
        }
    }

    /// How many failures in a row one request meets.
    fn row(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Some => 1,
            Self::Hostile => 2,
        }
    }

    /// The fewest and the most polls that find an operation pending.
    fn polls(self) -> (u64, u64) {
        match self {
            Self::None => (0, 0),
            Self::Some => (0, 2),
            Self::Hostile => (1, 4),
        }
    }

    /// How many requests still meet the state before a change, such as before an API was enabled.
    pub(crate) fn delay(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Some => 1,
            Self::Hostile => 3,
        }
    }
}

impl std::str::FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "some" => Ok(Self::Some),
            "hostile" => Ok(Self::Hostile),
            other => Err(format!("'{other}' is not one of none, some and hostile")),
        }
    }
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429, with these seconds in `Retry-After`.
    Throttled {
        /// Without them, the header is left out.
        retry_after: Option<u64>,
    },
    /// 403 that says that a quota of requests per minute is exceeded.
    Quota,
    /// This status of a server that is in trouble: 500, 502, 503.
    Unavailable(u16),
    /// The connection is closed, and nothing has happened.
    Dropped,
    /// What was asked for happens, and the connection is closed instead of an answer.
    LostReply,
    /// Another principal changes the policy just before `setIamPolicy`.
    Raced,
    /// The operation that the request begins ends in an error.
    OperationFails {
        /// Such as `INTERNAL_ERROR`.
        code: String,
        /// For people.
        message: String,
    },
    /// This error.
    Refused {
        /// The status of the answer.
        code: u16,
        /// Google's code, such as `PERMISSION_DENIED`.
        status: String,
        /// For people.
        message: String,
    },
}

/// Which requests a fault is for.
#[derive(Clone, Debug, Default)]
pub struct On {
    id: Option<String>,
    host: Option<String>,
    path: Option<String>,
}

impl On {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests of one method, such as `sql.instances.insert`: names as in Google's descriptions.
    pub fn id(id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..Self::default() }
    }

    /// Requests to one API, such as `run.googleapis.com`.
    pub fn api(host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..Self::default() }
    }

    /// And with this text in the path.
    #[must_use]
    pub fn path(self, part: impl Into<String>) -> Self {
        Self { path: Some(part.into()), ..self }
    }

    fn matches(&self, call: &Call, path: &str) -> bool {
        self.id.as_ref().is_none_or(|id| id == call.id)
            && self.host.as_ref().is_none_or(|host| host == call.api.host())
            && self.path.as_ref().is_none_or(|part| path.contains(part))
    }
}

/// The faults of one cloud.
#[derive(Debug, Default)]
pub(crate) struct Injection {
    seed: u64,
    pub(crate) level: Faults,
    /// Asked for by tests, each for one request.
    next: Vec<(On, Fault)>,
    /// How often each method was called.
    calls: HashMap<&'static str, u64>,
    /// How many requests of one method and path have failed in a row.
    row: HashMap<(&'static str, String), u32>,
}

impl Injection {
    pub(crate) fn new(level: Faults, seed: u64) -> Self {
        Self { seed, level, ..Self::default() }
    }

    pub(crate) fn fail_next(&mut self, on: On, fault: Fault) {
        self.next.push((on, fault));
    }

    /// How many polls find an operation pending.
    pub(crate) fn polls(&self, id: &str) -> u32 {
        let (least, most) = self.level.polls();
        (least + self.roll("polls", id, 0) % (most - least + 1)) as u32
    }

    /// What goes wrong with this request, if anything.
    pub(crate) fn decide(&mut self, call: &Call, path: &str) -> Option<Fault> {
        if let Some(at) = self.next.iter().position(|(on, _)| on.matches(call, path)) {
            return Some(self.next.remove(at).1);
        }
        let count = self.calls.entry(call.id).or_default();
        *count += 1;
        let count = *count;
        let row = self.row.entry((call.id, path.to_owned())).or_default();
        if *row >= self.level.row() {
            *row = 0;
            return None;
        }
        *row += 1;
        if self.roll("whether", call.id, count) % 100 >= self.level.rate() {
            self.row.remove(&(call.id, path.to_owned()));
            return None;
        }
        let possible = possible(call, self.level);
        let chosen = self.roll("which", call.id, count) as usize % possible.len();
        possible.into_iter().nth(chosen)
    }

    /// A number that the seed and these words decide.
    fn roll(&self, what: &str, word: &str, count: u64) -> u64 {
        let hash = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(what)
            .chain_update(word)
            .chain_update(count.to_be_bytes())
            .finalize();
        hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// What can go wrong with a request without a test asking for it.
fn possible(call: &Call, level: Faults) -> Vec<Fault> {
    let mut possible =
        vec![Fault::Throttled { retry_after: Some(1) }, Fault::Unavailable(503), Fault::Unavailable(500)];
    if call.api != crate::api::Api::Aura {
        possible.push(Fault::Quota);
    }
    if level == Faults::Hostile {
        possible.push(Fault::Dropped);
        if !is_read(call.id) {
            possible.extend([Fault::LostReply, Fault::LostReply]);
        }
    }
    if call.id.ends_with(".setIamPolicy") {
        possible.extend([Fault::Raced, Fault::Raced]);
    }
    if call.id == "serviceusage.services.batchEnable" {
        possible.push(Fault::OperationFails {
            code: "UNAVAILABLE".to_owned(),
            message: "The service is currently unavailable.".to_owned(),
        });
    }
    possible
}

/// Whether a method changes nothing.
fn is_read(id: &str) -> bool {
    let verb = id.rsplit('.').next().unwrap_or_default();
    ["get", "list", "access", "search", "wait", "test", "batchGet"].iter().any(|read| verb.starts_with(read))
}

impl Fault {
    /// How an operation ends because of this fault.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Self::OperationFails { code, message } => Some(Failure::new(code, message.clone())),
            _ => None,
        }
    }
}
