use std::fmt;

use data_encoding::BASE32_NOPAD;
use memcloud_domain::{Rights, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strum::{Display, EnumString, IntoStaticStr};

use crate::{TokenId, UserId};

/// How every token begins, so that people and scanners of secrets know one.
const PREFIX: &str = "mct_";

/// What a token is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum TokenKind {
    /// A program uses it.
    Api,
    /// A person signed in.
    Session,
}

/// What opens a console, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Names it in lists and in the audit log.
    pub id: TokenId,
    /// The user who it acts for.
    pub user: UserId,
    /// What it is for.
    pub kind: TokenKind,
    /// What its owner calls it.
    pub name: String,
    /// What it permits, as far as its user's role does.
    pub scopes: Rights,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to within a few minutes.
    pub last_used_at: Option<Timestamp>,
    /// From when on it opens nothing; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A link by which a user signs in once, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Who signs in.
    pub user: UserId,
    /// Until when.
    pub expires_at: Timestamp,
}

/// The SHA-256 of a token or of a link. 32 random bytes need no slower hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of a secret that a caller shows.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// A new secret, and its hash.
    pub fn make() -> (SecretString, Self) {
        let secret = format!("{PREFIX}{}", BASE32_NOPAD.encode(&rand::random::<[u8; 32]>()).to_lowercase());
        let hash = Self::of(&secret);
        (secret.into(), hash)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(hidden)")
    }
}
