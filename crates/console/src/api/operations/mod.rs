//! Operations, as the API shows them.

pub(crate) mod cancel;
pub(crate) mod events;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod retry;

use memcloud_api::console::{Operation as ApiOperation, Step};
use memcloud_control::Operation;
use memcloud_control::operations::StepRecord;
use memcloud_domain::Timestamp;

use super::reason::reason;

pub(super) fn shown(operation: Operation) -> ApiOperation {
    ApiOperation {
        id: operation.id.into(),
        instance: operation.instance.into(),
        kind: operation.kind.to_string(),
        state: operation.state.to_string(),
        reason: operation.reason.map(reason),
        cancel: operation.cancel,
        actor: operation.actor,
        created_at: operation.created_at.to_string(),
        ended_at: text(operation.ended_at),
        steps: operation.steps.into_iter().map(step).collect(),
    }
}

fn step(step: StepRecord) -> Step {
    Step {
        name: step.planned.name,
        title: step.planned.title,
        state: step.state.to_string(),
        started_at: text(step.started_at),
        ended_at: text(step.ended_at),
        outputs: step.outputs,
        reason: step.reason.map(reason),
    }
}

fn text(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}
