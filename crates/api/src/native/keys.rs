use deserr::Deserr;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Problems;
use crate::value::Name;

/// A key to make.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct NewKey {
    /// What the key is for; up to 200 characters.
    #[schema(min_length = 1, max_length = 200, pattern = "\\S")]
    pub name: String,
    /// What it permits: `read` to search, list and read, `write` to store and delete, `admin` to manage keys and spaces.
    /// No right includes another.
    #[schema(value_type = Vec<Right>, min_items = 1)]
    pub rights: Vec<Value>,
    /// The groups it opens. Default: all groups, also those that come later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(value_type = Option<Vec<Name>>, min_items = 1)]
    pub spaces: Option<Vec<String>>,
    /// When it ends. RFC 3339; UTC without a zone. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// What a key permits. Only its schema is used.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the items of a list")]
enum Right {
    Read,
    Write,
    Admin,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Names the key in lists, in logs and when it is revoked.
    pub id: String,
    /// What the key is for.
    pub name: String,
    /// What it permits: `read`, `write`, `admin`.
    pub rights: Vec<String>,
    /// The groups it opens; null for all.
    pub spaces: Option<Vec<String>>,
    /// When it was made.
    pub created_at: String,
    /// When it was last used, to within a few minutes; null if never.
    pub last_used_at: Option<String>,
    /// When it ends; null for never.
    pub expires_at: Option<String>,
    /// When it was revoked; null if it was not.
    pub revoked_at: Option<String>,
    /// `live`, `expired` or `revoked`.
    pub state: String,
}

/// A key that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    /// The key itself. It is shown this once; the instance keeps only its hash.
    pub key: String,
    /// The key without its secret.
    #[serde(flatten)]
    pub about: Key,
}

/// Keys in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Keys {
    /// The keys. Those that were revoked or have expired are listed for 90 days more.
    pub keys: Vec<Key>,
}
