use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{Display, EnumString, IntoStaticStr};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::PlannedStep;
use crate::instances::{Instance, Reason};

/// One undoable act.
///
/// Both directions are idempotent: the process may end at any point, also after the act and before the journal, and then the
/// step is run again. `undo` is also called for a step that failed or was interrupted, and undoes whatever part was done.
#[async_trait]
pub trait Step: Send + Sync {
    /// Does it, and returns what later steps and people need to know. No secret.
    async fn run(&self, job: &Job) -> Result<Value, Reason>;

    /// Undoes it.
    async fn undo(&self, _job: &Job) -> Result<(), Reason> {
        Ok(())
    }

    /// How long it may take in either direction.
    fn time_limit(&self) -> Duration {
        Duration::from_mins(1)
    }
}

/// What a step works on.
#[derive(Clone, Debug)]
pub struct Job {
    /// The instance, as it was when the step began, or began to be undone.
    pub instance: Instance,
    /// What the plan gives the step.
    pub inputs: Value,
    /// What the steps before it returned, by their names.
    pub outputs: BTreeMap<String, Value>,
    /// Cancelled when the step should stop early: the operation is cancelled, or another step failed.
    pub stop: CancellationToken,
    pub(super) said: mpsc::UnboundedSender<String>,
}

impl Job {
    /// Says what the step is doing, to those who follow the operation. No secret.
    pub fn say(&self, message: impl Into<String>) {
        // The runner listens until the step has ended.
        let _ = self.said.send(message.into());
    }
}

/// Why a step failed that was asked to stop.
pub(crate) fn interrupted() -> Reason {
    Reason::new("the step was interrupted", "retry the operation")
}

/// What a step is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum StepState {
    /// It has not begun.
    Pending,
    /// It runs, or ran when the process ended.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// It is undone, or was when the process ended.
    Undoing,
    /// It is undone.
    Undone,
    /// It could not be undone.
    Stuck,
}

/// A step of an operation in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRecord {
    /// What was planned.
    pub planned: PlannedStep,
    /// What it is.
    pub state: StepState,
    /// What it returned.
    pub outputs: Option<Value>,
    /// Why it failed, or could not be undone.
    pub reason: Option<Reason>,
    /// When it last began.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub ended_at: Option<Timestamp>,
}

impl StepRecord {
    /// A step that has not begun.
    pub fn new(planned: PlannedStep) -> Self {
        Self {
            planned,
            state: StepState::Pending,
            outputs: None,
            reason: None,
            started_at: None,
            ended_at: None,
        }
    }

    /// Whether it has to be done by an operation that goes forward.
    pub(super) fn is_due(&self) -> bool {
        self.state != StepState::Done
    }

    /// Whether there may be something to undo.
    pub(super) fn may_have_effect(&self) -> bool {
        !matches!(self.state, StepState::Pending | StepState::Undone)
    }
}
