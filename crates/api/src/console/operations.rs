use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Reason;

/// One run of a plan for one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// The id of the instance.
    pub instance: String,
    /// `create`, `clone`, `start`, `stop`, `restart`, `upgrade`, `verify`, `recover` or `delete`.
    pub kind: String,
    /// `queued`, `running`, `undoing`, `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// Why it failed or was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Whether it was asked to stop.
    pub cancel: bool,
    /// Who began it.
    pub actor: String,
    /// When it was begun.
    pub created_at: String,
    /// When it ended; null while it runs.
    pub ended_at: Option<String>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// A step of an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OperationStep)]
pub struct Step {
    /// Its name in the plan.
    pub name: String,
    /// What it does.
    pub title: String,
    /// `pending`, `running`, `done`, `failed`, `undoing`, `undone` or `stuck`.
    pub state: String,
    /// When it last began; null if it has not.
    pub started_at: Option<String>,
    /// When it last ended; null if it has not.
    pub ended_at: Option<String>,
    /// What it returned; null until it is done.
    pub outputs: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Operations, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operations {
    /// The operations.
    pub operations: Vec<Operation>,
    /// Where the next page begins, to be sent as `cursor`; null on the last page.
    pub next_cursor: Option<String>,
}

/// Something that happened in an operation: the data of a server-sent event, whose id is `number`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationEvent {
    /// Its number, from 1: what a client sends as `Last-Event-ID`.
    pub number: u64,
    /// When.
    pub time: String,
    /// `step`, `message` or `operation`.
    pub kind: String,
    /// The step; null when it is about the whole operation.
    pub step: Option<String>,
    /// The state of the step or the operation.
    pub state: String,
    /// What happened.
    pub message: String,
}

/// A server-sent event of an operation: its name and its data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "lowercase")]
pub enum OperationStreamEvent {
    /// A step changed its state.
    Step(OperationEvent),
    /// A step says what it is doing.
    Message(OperationEvent),
    /// The operation changed its state.
    Operation(OperationEvent),
}
