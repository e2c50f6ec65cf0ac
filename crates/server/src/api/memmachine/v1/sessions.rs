//! `GET /v1/sessions`, and the same of one user, group or agent.
//!
//! MemMachine's clients send no parameters and expect all sessions. They get the first thousand.

use axum::Json;
use axum::extract::State;
use memcloud_api::Problems;
use memcloud_api::memmachine_v1::{KnownSession, ORGANIZATION, Sessions, space as space_of};
use memcloud_domain::{Caller, Session};
use memcloud_http::{Allowed, ApiError, Read};
use memcloud_ports::{LISTED_MEMBERS, SessionCursor, SessionsOf};

use crate::App;
use crate::params::{PathId, QueryParams};

/// Lists all sessions.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    operation_id = "list_sessions",
    tag = "sessions",
    params(PageParams),
    responses((status = 200, description = "The sessions.", body = Sessions)),
)]
pub(crate) async fn sessions(
    allowed: Allowed<Read>,
    State(app): State<App>,
    query: QueryParams,
) -> Result<Json<Sessions>, ApiError> {
    list(&app, &allowed, query, |_| Some(SessionsOf::Everyone)).await
}

/// Lists the sessions that a user takes part in.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/sessions",
    operation_id = "list_sessions_of_user",
    tag = "sessions",
    params(("id" = String, Path, description = "The user."), PageParams),
    responses((status = 200, description = "The sessions; none when the user is not known.", body = Sessions)),
)]
pub(crate) async fn sessions_of_user(
    allowed: Allowed<Read>,
    State(app): State<App>,
    id: PathId,
    query: QueryParams,
) -> Result<Json<Sessions>, ApiError> {
    list(&app, &allowed, query, |problems| id.text(problems).map(SessionsOf::User)).await
}

/// Lists the sessions of a group.
#[utoipa::path(
    get,
    path = "/v1/groups/{id}/sessions",
    operation_id = "list_sessions_of_group",
    tag = "sessions",
    params(("id" = String, Path, description = "The group."), PageParams),
    responses((status = 200, description = "The sessions; none when the group is not known.", body = Sessions)),
)]
pub(crate) async fn sessions_of_group(
    allowed: Allowed<Read>,
    State(app): State<App>,
    id: PathId,
    query: QueryParams,
) -> Result<Json<Sessions>, ApiError> {
    list(&app, &allowed, query, |problems| Some(SessionsOf::Space(space_of(id.text(problems)?)))).await
}

/// Lists the sessions that an agent takes part in.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/sessions",
    operation_id = "list_sessions_of_agent",
    tag = "sessions",
    params(("id" = String, Path, description = "The agent."), PageParams),
    responses((status = 200, description = "The sessions; none when the agent is not known.", body = Sessions)),
)]
pub(crate) async fn sessions_of_agent(
    allowed: Allowed<Read>,
    State(app): State<App>,
    id: PathId,
    query: QueryParams,
) -> Result<Json<Sessions>, ApiError> {
    list(&app, &allowed, query, |problems| id.text(problems).map(SessionsOf::Agent)).await
}

/// The page of a list of sessions.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters that `list` reads")]
pub(crate) struct PageParams {
    /// The most sessions of one page. Default: 1,000. A page of large sessions ends before its limit.
    #[param(minimum = 1, maximum = 1_000)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of the sessions that the caller sees. Groups are the projects of one organization; this API does not show others.
async fn list(
    app: &App,
    caller: &Caller,
    mut query: QueryParams,
    of: impl FnOnce(&mut Problems) -> Option<SessionsOf>,
) -> Result<Json<Sessions>, ApiError> {
    let (of, limit, mut after) = Problems::none_in(|problems| {
        let of = of(problems);
        let limits = app.memory.limits();
        let limit = query.limit(problems, |given| limits.check_limit(given, limits.results));
        let after = query.cursor(problems, cursor);
        Some((of?, limit?, after))
    })?;
    if let SessionsOf::Space(space) = &of {
        caller.enter(space.clone())?;
    }
    let mut sessions = vec![];
    // A page of the engine may have none that the caller sees.
    loop {
        let wanted = limit - sessions.len();
        let page = app.memory.engine().sessions.sessions(&of, after, wanted).await?;
        let is_large = page.sessions.len() < wanted && page.next.is_some();
        let seen = |session: &Session| session.space.org == ORGANIZATION && caller.sees(&session.space);
        sessions.extend(page.sessions.into_iter().filter(seen).map(listed));
        after = page.next;
        if after.is_none() || sessions.len() == limit || (is_large && !sessions.is_empty()) {
            break;
        }
    }
    let next_cursor = after.map(|SessionCursor(number)| format!("{number:x}"));
    Ok(Json(Sessions { sessions, next_cursor }))
}

/// A session as the list shows it.
fn listed(mut session: Session) -> KnownSession {
    let more_members = session.members.len() > LISTED_MEMBERS;
    session.members.truncate(LISTED_MEMBERS);
    KnownSession { more_members, ..session.into() }
}

fn cursor(text: &str) -> Option<SessionCursor> {
    i64::from_str_radix(text, 16).map(SessionCursor).ok()
}
