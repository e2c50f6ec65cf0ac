//! API tokens, as the API shows them.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;

use memcloud_api::console::Token as ApiToken;
use memcloud_control::Caller;
use memcloud_control::access::{Identity, Token};
use memcloud_domain::{Right, Timestamp};
use memcloud_http::ApiError;

use crate::App;
use crate::error::refused;

pub(super) fn shown(token: Token) -> ApiToken {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    ApiToken {
        id: token.id.into(),
        user: token.user.into(),
        name: token.name,
        scopes: token.scopes.iter().map(|right| right.to_string()).collect(),
        created_at: token.created_at.to_string(),
        last_used_at: text(token.last_used_at),
        expires_at: text(token.expires_at),
        revoked_at: text(token.revoked_at),
    }
}

/// The tokens that the caller manages: its own, and with the right `admin` those of the organization.
async fn managed(app: &App, caller: &Caller, identity: &Identity) -> Result<Vec<Token>, ApiError> {
    let mut tokens = app.accounts.tokens(caller).await.map_err(refused)?;
    let manages_all = identity.rights.contains(Right::Admin);
    tokens.retain(|token| manages_all || token.user == identity.user.id);
    Ok(tokens)
}
