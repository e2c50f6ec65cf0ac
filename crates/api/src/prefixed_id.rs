//! The id of an episode as answers spell it.

use std::fmt;
use std::str::FromStr;

use memcloud_domain::{EpisodeId, Violation};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

const PREFIX: &str = "episode-";
const PATTERN: &str = "^(episode-)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";

/// The id of an episode, written as `episode-<uuid>`. It is read with and without `episode-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrefixedId(pub EpisodeId);

impl From<EpisodeId> for PrefixedId {
    fn from(id: EpisodeId) -> Self {
        Self(id)
    }
}

impl fmt::Display for PrefixedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl FromStr for PrefixedId {
    type Err = Violation;

    fn from_str(text: &str) -> Result<Self, Violation> {
        text.strip_prefix(PREFIX).unwrap_or(text).parse().map(Self)
    }
}

impl PartialSchema for PrefixedId {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(PATTERN));
        text.description(Some("The UUID of a message, with or without `episode-`; answers have it.")).into()
    }
}

impl ToSchema for PrefixedId {}

impl Serialize for PrefixedId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PrefixedId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
