//! Operations: runs of plans, journaled so that they survive a crash at any point.
//!
//! A [`Plan`] is data: [steps](PlannedStep) with what each waits for. A target gives each [`Step`] by its name. The
//! [`Runner`] writes to the journal before and after each; a step that had begun when the process ended is run again, so
//! every step is idempotent, forth and back.

mod event;
mod plan;
mod runner;
mod step;

use memcloud_domain::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

pub use event::{Event, EventKind};
pub use plan::{OnFailure, Plan, PlannedStep};
pub use runner::Runner;
pub(crate) use step::interrupted;
pub use step::{Job, Step, StepRecord, StepState};

use crate::instances::{Reason, State, Wanted};
use crate::{InstanceId, OperationId, OrganizationId};

/// What is done to an instance.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum OperationKind {
    /// Make it, start it and verify it.
    Create,
    /// Make it from a copy of another's data.
    Clone,
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop it and start it again.
    Restart,
    /// Move it to the program of this console.
    Upgrade,
    /// Check that it works.
    Verify,
    /// Start it after it died, or check it after it was degraded.
    Recover,
    /// Remove it.
    Delete,
}

impl OperationKind {
    /// What the instance is when the operation has succeeded.
    pub fn state_after(self) -> State {
        match self {
            Self::Stop => State::Stopped,
            Self::Delete => State::Removed,
            _ => State::Running,
        }
    }

    /// What the instance is when the operation has failed, with its steps undone or kept.
    pub fn state_after_failure(self, on_failure: OnFailure) -> State {
        match self {
            Self::Create if on_failure == OnFailure::Keep => State::Crashed,
            Self::Create | Self::Clone => State::Failed,
            Self::Delete => State::Removing,
            Self::Stop | Self::Upgrade | Self::Verify | Self::Recover => State::Degraded,
            Self::Start | Self::Restart => State::Crashed,
        }
    }

    /// What the instance should be from now on; `None` where the operation does not change that.
    pub fn wants(self) -> Option<Wanted> {
        match self {
            Self::Create | Self::Clone | Self::Start | Self::Restart => Some(Wanted::Running),
            Self::Stop => Some(Wanted::Stopped),
            Self::Delete => Some(Wanted::Removed),
            Self::Upgrade | Self::Verify | Self::Recover => None,
        }
    }
}

/// What an operation is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum OperationState {
    /// It has not begun.
    Queued,
    /// Its steps are done.
    Running,
    /// Its steps are undone, because one failed or because it was cancelled.
    Undoing,
    /// All steps are done.
    Succeeded,
    /// A step failed.
    Failed,
    /// It was cancelled, and its steps are undone.
    Cancelled,
}

impl OperationState {
    /// Whether it has ended.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// One run of a plan for one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// Whose instance it is.
    pub organization: OrganizationId,
    /// The instance.
    pub instance: InstanceId,
    /// What is done.
    pub kind: OperationKind,
    /// What it is.
    pub state: OperationState,
    /// What happens to steps that are done when one fails.
    pub on_failure: OnFailure,
    /// The steps of its plan, with what happened to each.
    pub steps: Vec<StepRecord>,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// Whether it was asked to stop.
    pub cancel: bool,
    /// Who began it.
    pub actor: String,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Operation {
    /// A run of this plan that has not begun.
    pub fn new(
        instance: &crate::Instance,
        kind: OperationKind,
        plan: Plan,
        actor: String,
        at: Timestamp,
    ) -> Self {
        Self {
            id: OperationId::random(),
            organization: instance.organization.clone(),
            instance: instance.id.clone(),
            kind,
            state: OperationState::Queued,
            on_failure: plan.on_failure,
            steps: plan.steps.into_iter().map(StepRecord::new).collect(),
            reason: None,
            cancel: false,
            actor,
            created_at: at,
            ended_at: None,
        }
    }
}
