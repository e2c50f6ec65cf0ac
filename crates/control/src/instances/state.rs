use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

/// What an instance is. The API, the command line and pages use the same words.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum State {
    /// Its operation has not begun.
    Queued,
    /// What it needs is checked and made.
    Preparing,
    /// It is started.
    Deploying,
    /// It is verified.
    Checking,
    /// It passed its verification and is ready.
    Running,
    /// It should run, and a part of it does not work.
    Degraded,
    /// Its process ended by itself.
    Crashed,
    /// It was stopped.
    Stopped,
    /// It is removed.
    Removing,
    /// It is gone.
    Removed,
    /// It could not be made, and nothing of it is left.
    Failed,
}

/// What an instance should be.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Wanted {
    /// It should run.
    Running,
    /// It should be there and not run.
    Stopped,
    /// It should be gone.
    Removed,
}

/// Why something is as it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What happened, without a secret in it.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

impl Reason {
    /// A reason with its hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}
