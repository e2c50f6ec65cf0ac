//! `GET /api/audit`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::Problems;
use memcloud_api::console::{AuditEntries, AuditEntry as ApiEntry};
use memcloud_control::{Actor, AuditEntry, Caller};
use memcloud_http::params::QueryParams;
use memcloud_http::{Admin, Allowed, ApiError};

use super::params::page;
use crate::App;
use crate::error::refused;

/// Lists what was changed, newest first: who, what, when, from where.
#[utoipa::path(
    get,
    path = "/api/audit",
    operation_id = "list_audit",
    tag = "access",
    params(
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1_000, description = "The most changes of one page. Default: 100."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page.", body = AuditEntries)),
)]
pub(crate) async fn audit(
    _: Allowed<Admin>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    mut query: QueryParams,
) -> Result<Json<AuditEntries>, ApiError> {
    let query = Problems::none_in(|problems| page(&mut query, problems))?;
    let page = app.accounts.audit(&caller, &query).await.map_err(refused)?;
    Ok(Json(AuditEntries { entries: page.items.into_iter().map(shown).collect(), next_cursor: page.next }))
}

fn shown(entry: AuditEntry) -> ApiEntry {
    let token = match &entry.actor {
        Actor::User { token, .. } => token.as_ref().map(ToString::to_string),
        Actor::System => None,
    };
    ApiEntry {
        at: entry.at.to_string(),
        actor: entry.actor.name().to_owned(),
        token,
        from: entry.from.map(|address| address.to_string()),
        action: entry.action,
        subject: entry.subject,
    }
}
