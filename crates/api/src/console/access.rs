use std::fmt;

use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problems;

/// A user of the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The id.
    pub id: String,
    /// The name to sign in with.
    pub name: String,
    /// `owner`, `member` or `viewer`.
    pub role: String,
    /// When the user was made.
    pub created_at: String,
}

/// Users, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Users {
    /// The users of the organization.
    pub users: Vec<User>,
}

/// A user to make.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct NewUser {
    /// The name to sign in with: up to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// `owner` for everything, `member` to see and change instances, `viewer` to see them.
    pub role: String,
    /// The password: at least 12 characters. Without one the user signs in by a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(min_length = 12, max_length = 1_024)]
    pub password: Option<String>,
}

/// What to change of a user. What is left out stays as it is.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct UserChanges {
    /// `owner`, `member` or `viewer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub role: Option<String>,
    /// The new password: at least 12 characters. It ends the sign-ins of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(min_length = 12, max_length = 1_024)]
    pub password: Option<String>,
}

/// A name and its password.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct PasswordSignIn {
    /// The name of the user.
    pub name: String,
    /// The password.
    pub password: String,
}

/// A new password for oneself.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct NewPassword {
    /// The password until now.
    pub current: String,
    /// The password from now on: at least 12 characters.
    #[schema(min_length = 12, max_length = 1_024)]
    pub password: String,
}

/// An organization to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct NewOrganization {
    /// The name of its first owner: up to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub owner: String,
}

/// An organization that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedOrganization {
    /// Its id.
    pub id: String,
    /// Its first owner.
    pub owner: User,
    /// How the owner signs in.
    #[serde(flatten)]
    pub link: SignInLink,
}

/// A sign-in that succeeded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// What to send as `Authorization: Bearer`. It is shown this once.
    pub token: String,
    /// When it ends.
    pub expires_at: String,
    /// Who signed in.
    pub user: User,
}

/// A link to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct NewSignInLink {
    /// The id of the user who it signs in. Default: the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub user: Option<String>,
}

/// A link that signs a user in once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInLink {
    /// The address. It works once.
    pub sign_in: String,
    /// Until when it works.
    pub expires_at: String,
}

/// A token to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct NewToken {
    /// What the token is for; up to 200 characters.
    #[schema(min_length = 1, max_length = 200, pattern = "\\S")]
    pub name: String,
    /// What it permits, as far as its user's role does: `read` to see, `write` to change instances, `admin` to manage users,
    /// tokens and the audit log. No scope includes another.
    #[schema(min_items = 1)]
    pub scopes: Vec<String>,
    /// When it ends. RFC 3339; UTC without a zone. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Names it in lists and in the audit log.
    pub id: String,
    /// The id of the user who it acts for.
    pub user: String,
    /// What it is for.
    pub name: String,
    /// What it permits: `read`, `write`, `admin`.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: String,
    /// When it was last used, to within a few minutes; null if never.
    pub last_used_at: Option<String>,
    /// When it ends; null for never.
    pub expires_at: Option<String>,
    /// When it was revoked; null if it was not.
    pub revoked_at: Option<String>,
}

/// Tokens in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// The API tokens of the organization.
    pub tokens: Vec<Token>,
}

/// A token that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// What to send as `Authorization: Bearer`. It is shown this once; the console keeps only its hash.
    pub token: String,
    /// The token without its secret.
    #[serde(flatten)]
    pub about: Token,
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When.
    pub at: String,
    /// Who: the name of a user, or `system`.
    pub actor: String,
    /// The id of the token that was shown; null without one.
    pub token: Option<String>,
    /// The address that the request came from; null for the console itself.
    pub from: Option<String>,
    /// What was done, such as `create instance`.
    pub action: String,
    /// What it was done to.
    pub subject: String,
}

/// Changes, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntries {
    /// The changes.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins, to be sent as `cursor`; null on the last page.
    pub next_cursor: Option<String>,
}

macro_rules! hidden {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    )+};
}

hidden!(NewUser, UserChanges, PasswordSignIn, NewPassword, SignedIn, SignInLink, CreatedToken);
