use deserr::{Deserr, IntoValue, Value as Given, ValuePointerRef};
use memcloud_domain::{Timestamp, Violation};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::{KnownFormat, ObjectBuilder, OneOfBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use super::Session;
use crate::read::place;
use crate::{Object, PrefixedId, Problem, Problems};

/// A message to store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct NewEpisode {
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub session: Option<Session>,
    /// Who said it: a member of the session; up to 1,024 bytes of UTF-8, as every name. Default: the session's only user.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[deserr(default)]
    pub producer: String,
    /// Who it was said to: a member of the session. Default: no one in particular.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[deserr(default)]
    pub produced_for: String,
    /// What was said. Up to 1 MiB, unless the instance is set otherwise.
    #[schema(min_length = 1, pattern = "\\S")]
    pub episode_content: String,
    /// Any word for the kind of message; up to 1,024 bytes. Default: `message`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[deserr(default)]
    pub episode_type: String,
    /// Any other data: up to 1,000 values, 16 levels and, unless the instance is set otherwise, 64 KiB of JSON. It is returned as
    /// it was sent, except that numbers have 64 bits. A `timestamp` in it says when the message was said, unless the field of
    /// that name does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Object>,
    /// When it was said: RFC 3339 (UTC without a zone), or seconds or milliseconds of the epoch. Default: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub timestamp: Option<Moment>,
    /// The producer's role in the conversation, such as `user` or `assistant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub role: Option<String>,
}

/// Messages to store together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct Batch {
    /// The conversation of every message that names none itself. Default: that of the first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub session: Option<Session>,
    /// The messages, oldest first, at most 1,000. A message may name its own session in the same group.
    #[schema(min_items = 1, max_items = 1_000)]
    pub episodes: Vec<NewEpisode>,
}

/// The session whose messages are deleted. It may be empty only where headers name the session; otherwise that is a 422. A
/// field that is not described here is refused, also in `session`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct ForgetSession {
    /// The conversation to delete. Its `session_id` must be named, here or in a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub session: Option<Session>,
}

/// When something happened, as clients write it: text or a number. It is sent as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Moment {
    /// The moment in a JSON value: RFC 3339 (UTC without a zone), or a number of the epoch.
    pub fn read(given: &Value) -> Result<Self, Violation> {
        let read = match given {
            Value::String(text) => text.parse(),
            Value::Number(number) => Timestamp::from_epoch(number.as_f64().unwrap_or(f64::NAN)),
            other => Err(Violation::invalid_time(&other.to_string())),
        };
        read.map(Self)
    }
}

impl Deserr<Problems> for Moment {
    fn deserialize_from_value<V: IntoValue>(value: Given<V>, at: ValuePointerRef) -> Result<Self, Problems> {
        Self::read(&value.into()).map_err(|violation| Problem::of(&violation, place(at)).into())
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let of = |kind, description| ObjectBuilder::new().schema_type(kind).description(Some(description));
        let text = of(Type::String, "RFC 3339; without a zone it is UTC.")
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let epoch = of(Type::Number, "Seconds of the epoch, or milliseconds when above 10^12.")
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double)));
        OneOfBuilder::new().item(text).item(epoch).description(Some("A time as clients write it.")).into()
    }
}

impl ToSchema for Moment {}

/// The answer to a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stored {
    /// `episode-` and the episode's UUID.
    pub id: PrefixedId,
    /// What became of it.
    pub status: Progress,
}

/// What became of an episode that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// It is durable, and searches find it.
    Stored,
    /// It is durable, and waits for the profile to learn from it.
    Queued,
}

/// A stored message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Episode {
    /// What was said.
    pub content: String,
    /// Its UUID: the one behind `episode-` in the answer to the store.
    pub uuid: String,
    /// The kind of message.
    pub episode_type: String,
    /// Always `string`.
    pub content_type: String,
    /// When it was said: UTC, without a zone.
    pub timestamp: String,
    /// The group it belongs to.
    pub group_id: String,
    /// The conversation it belongs to.
    pub session_id: String,
    /// Who said it.
    pub producer_id: String,
    /// Who it was said to.
    pub produced_for_id: String,
    /// The producer's role, when it was given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The metadata that came with it.
    #[schema(value_type = Object)]
    pub user_metadata: Object,
}

impl From<memcloud_domain::Episode> for Episode {
    fn from(episode: memcloud_domain::Episode) -> Self {
        Self {
            content: episode.content,
            uuid: episode.id.to_string(),
            episode_type: episode.kind,
            content_type: "string".into(),
            timestamp: zoneless(episode.created_at),
            group_id: episode.space.project,
            session_id: episode.session,
            producer_id: episode.producer,
            produced_for_id: episode.produced_for,
            role: episode.role,
            user_metadata: Object(episode.metadata),
        }
    }
}

/// RFC 3339 without a zone, always with microseconds.
fn zoneless(moment: Timestamp) -> String {
    format!("{:.6}", moment.civil())
}

#[cfg(test)]
mod tests {
    use super::{Moment, zoneless};
    use memcloud_domain::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn v1_times_have_microseconds_and_no_zone() {
        let noon = "2023-05-08T12:00:00Z".parse().unwrap();
        assert_eq!(zoneless(noon), "2023-05-08T12:00:00.000000");
    }

    #[test]
    fn moments_are_texts_or_numbers() {
        let noon = Moment("2023-05-08T12:00:00Z".parse().unwrap());
        for given in [
            json!("2023-05-08T12:00:00"),
            json!("2023-05-08T12:00:00Z"),
            json!(1_683_547_200),
            json!(1_683_547_200_000_u64),
        ] {
            assert_eq!(Moment::read(&given), Ok(noon), "{given}");
        }
        for wrong in [json!(null), json!(true), json!([]), json!("noon"), json!(1e300)] {
            assert!(Moment::read(&wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn v1_times_round_trip(micros in -30_610_224_000_000_000_i64..32_503_680_000_000_000) {
            let moment = Timestamp::from_micros(micros).unwrap();
            prop_assert_eq!(zoneless(moment).parse::<Timestamp>().unwrap(), moment);
        }
    }
}
