//! `GET /v1/sessions`, and the same of one user, group or agent.

use axum::Json;
use axum::extract::State;
use memcloud_api::memmachine_v1;
use memcloud_domain::{Caller, Session};
use memcloud_ports::SessionsOf;
use serde::Serialize;
use utoipa::ToSchema;

use super::V1;
use crate::allowed::{Allowed, Read};
use crate::failure::{Failure, FailureBody};
use crate::fields::PathId;

/// Sessions in the order they were first seen.
#[derive(Serialize, ToSchema)]
#[schema(as = Sessions)]
pub(super) struct SessionsBody {
    sessions: Vec<KnownSession>,
}

/// A session with everyone who ever took part in it.
#[derive(Serialize, ToSchema)]
pub(super) struct KnownSession {
    /// The people.
    user_ids: Vec<String>,
    /// Its name.
    session_id: String,
    /// The group it belongs to.
    group_id: String,
    /// The programs.
    agent_ids: Vec<String>,
}

/// Lists all sessions.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    operation_id = "list_sessions",
    tag = "sessions",
    responses((status = 200, description = "The sessions.", body = SessionsBody)),
)]
pub(super) async fn sessions(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
) -> Result<Json<SessionsBody>, Failure> {
    list(&v1, &allowed, SessionsOf::Everyone).await
}

/// Lists the sessions that a user takes part in.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/sessions",
    operation_id = "list_sessions_of_user",
    tag = "sessions",
    params(("id" = String, Path, description = "The user.")),
    responses(
        (status = 200, description = "The sessions; none when the user is not known.", body = SessionsBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn sessions_of_user(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
    PathId(id): PathId,
) -> Result<Json<SessionsBody>, Failure> {
    list(&v1, &allowed, SessionsOf::User(id)).await
}

/// Lists the sessions of a group.
#[utoipa::path(
    get,
    path = "/v1/groups/{id}/sessions",
    operation_id = "list_sessions_of_group",
    tag = "sessions",
    params(("id" = String, Path, description = "The group.")),
    responses(
        (status = 200, description = "The sessions; none when the group is not known.", body = SessionsBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn sessions_of_group(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
    PathId(id): PathId,
) -> Result<Json<SessionsBody>, Failure> {
    list(&v1, &allowed, SessionsOf::Space(allowed.enter(memmachine_v1::space(id))?)).await
}

/// Lists the sessions that an agent takes part in.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/sessions",
    operation_id = "list_sessions_of_agent",
    tag = "sessions",
    params(("id" = String, Path, description = "The agent.")),
    responses(
        (status = 200, description = "The sessions; none when the agent is not known.", body = SessionsBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn sessions_of_agent(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
    PathId(id): PathId,
) -> Result<Json<SessionsBody>, Failure> {
    list(&v1, &allowed, SessionsOf::Agent(id)).await
}

/// The sessions that the caller sees. Groups are the projects of one organisation; this API does not show others.
async fn list(v1: &V1, caller: &Caller, of: SessionsOf) -> Result<Json<SessionsBody>, Failure> {
    let ours = memmachine_v1::space("").org;
    let sessions = v1.app.memory.sessions(of).await?;
    let sessions = sessions
        .into_iter()
        .filter(|Session { space, .. }| space.org == ours && caller.sees(space))
        .map(KnownSession::from)
        .collect();
    Ok(Json(SessionsBody { sessions }))
}

impl From<Session> for KnownSession {
    fn from(session: Session) -> Self {
        Self {
            user_ids: session.users().map(str::to_owned).collect(),
            agent_ids: session.agents().map(str::to_owned).collect(),
            group_id: session.space.project,
            session_id: session.name,
        }
    }
}
