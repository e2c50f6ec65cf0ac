//! `GET /v1/sessions`, and the same of one user, group or agent.

use axum::Json;
use axum::extract::State;
use memcloud_api::Problems;
use memcloud_api::memmachine_v1::{KnownSession, ORGANISATION, Sessions, space as space_of};
use memcloud_domain::{Caller, Session};
use memcloud_ports::SessionsOf;

use crate::App;
use crate::allowed::{Allowed, Read};
use crate::api::responses::Validated;
use crate::error::ApiError;
use crate::params::PathId;

/// Lists all sessions.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    operation_id = "list_sessions",
    tag = "sessions",
    responses((status = 200, description = "The sessions.", body = Sessions)),
)]
pub(crate) async fn sessions(
    allowed: Allowed<Read>,
    State(app): State<App>,
) -> Result<Json<Sessions>, ApiError> {
    list(&app, &allowed, SessionsOf::Everyone).await
}

/// Lists the sessions that a user takes part in.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/sessions",
    operation_id = "list_sessions_of_user",
    tag = "sessions",
    params(("id" = String, Path, description = "The user.")),
    responses((status = 200, description = "The sessions; none when the user is not known.", body = Sessions), Validated),
)]
pub(crate) async fn sessions_of_user(
    allowed: Allowed<Read>,
    State(app): State<App>,
    id: PathId,
) -> Result<Json<Sessions>, ApiError> {
    list(&app, &allowed, SessionsOf::User(text(id)?)).await
}

/// Lists the sessions of a group.
#[utoipa::path(
    get,
    path = "/v1/groups/{id}/sessions",
    operation_id = "list_sessions_of_group",
    tag = "sessions",
    params(("id" = String, Path, description = "The group.")),
    responses((status = 200, description = "The sessions; none when the group is not known.", body = Sessions), Validated),
)]
pub(crate) async fn sessions_of_group(
    allowed: Allowed<Read>,
    State(app): State<App>,
    id: PathId,
) -> Result<Json<Sessions>, ApiError> {
    list(&app, &allowed, SessionsOf::Space(allowed.enter(space_of(text(id)?))?)).await
}

/// Lists the sessions that an agent takes part in.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/sessions",
    operation_id = "list_sessions_of_agent",
    tag = "sessions",
    params(("id" = String, Path, description = "The agent.")),
    responses((status = 200, description = "The sessions; none when the agent is not known.", body = Sessions), Validated),
)]
pub(crate) async fn sessions_of_agent(
    allowed: Allowed<Read>,
    State(app): State<App>,
    id: PathId,
) -> Result<Json<Sessions>, ApiError> {
    list(&app, &allowed, SessionsOf::Agent(text(id)?)).await
}

fn text(id: PathId) -> Result<String, Problems> {
    Problems::none_in(|problems| id.text(problems))
}

/// The sessions that the caller sees. Groups are the projects of one organisation; this API does not show others.
async fn list(app: &App, caller: &Caller, of: SessionsOf) -> Result<Json<Sessions>, ApiError> {
    let sessions = app.memory.engine().sessions.sessions(of).await?;
    let sessions = sessions
        .into_iter()
        .filter(|Session { space, .. }| space.org == ORGANISATION && caller.sees(space))
        .map(KnownSession::from)
        .collect();
    Ok(Json(Sessions { sessions }))
}
