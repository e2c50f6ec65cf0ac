use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::PrefixedId;
use crate::memmachine_v1::Fact;

/// Facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Facts {
    /// In the order in which they were learned.
    pub facts: Vec<Fact>,
}

/// How many facts were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedFact {
    /// The number.
    pub deleted: u64,
}

/// The messages that wait to be learned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileQueue {
    /// Whether the instance learns. If not, messages wait until there is a language model.
    pub learning: bool,
    /// How many messages wait.
    pub waiting: u64,
    /// When the first of them began to wait; null when none waits.
    pub since: Option<String>,
    /// How many messages failed and are no longer tried.
    pub parked: u64,
    /// The first hundred of those.
    pub parked_messages: Vec<ParkedMessage>,
}

/// A message that failed and is no longer tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParkedMessage {
    /// `episode-` and its UUID.
    pub id: PrefixedId,
    /// Its group.
    pub group_id: String,
    /// The person that facts were to be learned about.
    pub user_id: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub reason: String,
}

/// How many parked messages wait again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetriedMessages {
    /// The number.
    pub retried: u64,
}
