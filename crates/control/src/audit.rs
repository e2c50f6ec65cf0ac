//! Who did what, when and from where.

use std::net::IpAddr;

use memcloud_domain::Timestamp;

use crate::{OrganizationId, TokenId, UserId};

/// Who changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user, signed in or with a token.
    User {
        /// The user.
        user: UserId,
        /// What the user is called.
        name: String,
        /// The token that was shown, if it was one.
        token: Option<TokenId>,
    },
    /// The control plane itself, such as the reconciler.
    System,
}

impl Actor {
    /// The name, as lists show it.
    pub fn name(&self) -> &str {
        match self {
            Self::User { name, .. } => name,
            Self::System => "system",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Whose instance, user or token it was.
    pub organization: OrganizationId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// From which address; `None` for the control plane itself.
    pub from: Option<IpAddr>,
    /// What was done: a verb and a noun, such as `create instance`.
    pub action: String,
    /// What it was done to: a name or an id. Never a secret.
    pub subject: String,
}
