//! Instances, as the API shows them, and what begins their operations.

pub(crate) mod clone;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
mod google;
pub(crate) mod list;
pub(crate) mod logs;
mod new;
pub(crate) mod restart;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod upgrade;
pub(crate) mod verify;

use axum::Json;
use axum::http::StatusCode;
use memcloud_api::console::{Accepted, Capability, Evidence, Instance as ApiInstance};
use memcloud_control::{Caller, Instance, InstanceId, Operation, OperationKind, State, verify as verified};
use memcloud_domain::Timestamp;
use memcloud_http::ApiError;
use serde_json::Value;

pub(super) use new::new_instance;

use super::operations;
use super::reason::reason;
use crate::App;
use crate::error::refused;

/// The answer to a request that begins an operation.
pub(crate) type Begun = Result<(StatusCode, Json<Accepted>), ApiError>;

/// Begins an operation. `request` is what the target is asked for in addition.
async fn begin(app: &App, caller: &Caller, id: &InstanceId, kind: OperationKind, request: Value) -> Begun {
    let operation = app.control.begin(caller, id, kind, &request).await.map_err(refused)?;
    accepted(app, operation).await
}

/// An operation that was begun, with its instance as it is now.
async fn accepted(app: &App, operation: Operation) -> Begun {
    let instance = app.control.instance_of_operation(&operation).await.map_err(refused)?;
    let instance = with_capabilities(app, instance).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { instance, operation: operations::shown(operation) })))
}

async fn with_capabilities(app: &App, instance: Instance) -> Result<ApiInstance, ApiError> {
    let capabilities = app.control.capabilities(&instance.id).await.map_err(refused)?;
    Ok(shown(instance, capabilities))
}

fn shown(instance: Instance, capabilities: Vec<verified::Capability>) -> ApiInstance {
    ApiInstance {
        id: instance.id.into(),
        name: instance.name.into(),
        target: instance.target.to_string(),
        topology: instance.topology.to_string(),
        // One that could not be made has given its address back.
        url: instance.url.filter(|_| instance.state != State::Failed),
        state: instance.state.to_string(),
        wanted: instance.wanted.to_string(),
        reason: instance.reason.map(reason),
        version: instance.version,
        has_llm: instance.has_llm,
        capabilities: capabilities.into_iter().map(capability).collect(),
        created_at: instance.created_at.to_string(),
        changed_at: instance.changed_at.to_string(),
    }
}

fn capability(capability: verified::Capability) -> Capability {
    Capability {
        name: capability.name.to_string(),
        state: capability.state.to_string(),
        checked_at: capability.checked_at.as_ref().map(Timestamp::to_string),
        reason: capability.reason.map(reason),
        evidence: capability.evidence.into_iter().map(evidence).collect(),
    }
}

fn evidence(seen: verified::Evidence) -> Evidence {
    Evidence {
        criterion: seen.criterion.to_string(),
        outcome: seen.outcome.to_string(),
        sent: seen.sent,
        received: seen.received,
        millis: seen.millis,
        at: seen.at.to_string(),
        reason: seen.reason.map(reason),
    }
}
