//! Users, as the API shows them.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;

use memcloud_api::Problem;
use memcloud_api::console::User as ApiUser;
use memcloud_control::access::{Role, User};
use memcloud_control::{Caller, Error, UserId};
use memcloud_http::ApiError;

use super::params::word;
use crate::App;
use crate::error::refused;

/// The longest name, in characters.
pub(super) const MAX_NAME: usize = 100;

pub(super) fn shown(user: User) -> ApiUser {
    ApiUser {
        id: user.id.into(),
        name: user.name,
        role: user.role.to_string(),
        created_at: user.created_at.to_string(),
    }
}

/// A user of the caller's organization.
pub(super) async fn user(app: &App, caller: &Caller, id: &UserId) -> Result<User, ApiError> {
    let users = app.accounts.users(caller).await.map_err(refused)?;
    let found = users.into_iter().find(|user| user.id == *id);
    found.ok_or_else(|| refused(Error::NotFound("user")))
}

fn role(given: &str) -> Result<Role, Problem> {
    word(given, "role", "'owner', 'member', 'viewer'", "unknown_role")
}
