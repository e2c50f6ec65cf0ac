//! Who may do what with a console: organizations, users with roles, and tokens.

mod accounts;
mod password;
mod sign_in;
mod throttle;
mod token;

use memcloud_domain::{Right, Rights, Timestamp};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

pub use accounts::{Accounts, Identity, Refused};
pub use password::{InvalidPassword, Password};
pub use sign_in::{PasswordSignIn, SignInError};
pub use throttle::Throttle;
pub use token::{SignIn, Token, TokenHash, TokenKind};

use crate::{OrganizationId, UserId};

/// What a user may do in an organization.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    /// Everything, users and the audit log as well.
    Owner,
    /// See and change instances.
    Member,
    /// See instances.
    Viewer,
}

impl Role {
    /// The rights of the role: a viewer reads, a member also writes, an owner also administers.
    pub fn rights(self) -> Rights {
        let rights: &[Right] = match self {
            Self::Owner => &Right::ALL,
            Self::Member => &[Right::Read, Right::Write],
            Self::Viewer => &[Right::Read],
        };
        rights.iter().copied().collect()
    }
}

/// Someone who signs in to a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name to sign in with; no other user of the console has it.
    pub name: String,
    /// Whose instances the user sees.
    pub organization: OrganizationId,
    /// What the user may do with them.
    pub role: Role,
    /// When the user was made.
    pub created_at: Timestamp,
}
