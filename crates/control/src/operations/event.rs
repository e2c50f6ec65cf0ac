use memcloud_domain::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

/// What an event is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum EventKind {
    /// A step changed its state.
    Step,
    /// A step says what it is doing.
    Message,
    /// The operation changed its state.
    Operation,
}

/// Something that happened in an operation. It is kept with the operation, so that it can be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number in the operation, from 1. The store gives it.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What it is about.
    pub kind: EventKind,
    /// The step, unless it is about the whole operation.
    pub step: Option<String>,
    /// The state of the step or the operation.
    pub state: String,
    /// What happened, for people.
    pub message: String,
}
