//! An episode on the wire: as clients hand it in, and as they get it back.

use memcloud_domain::{Episode, Field, Metadata, NewEpisode, Purpose, Timestamp, Violation};
use memcloud_memory::Limits;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::session::{NamedSession, SessionBody};
use crate::failure::Failure;
use crate::fields::{Fields, Place};

const USUAL_KIND: &str = "message";

/// A message to store.
#[derive(ToSchema)]
#[schema(as = NewEpisode)]
#[expect(dead_code, reason = "describes what `read` reads")]
pub(super) struct NewEpisodeBody {
    /// The conversation it belongs to.
    session: Option<SessionBody>,
    /// Who said it: a member of the session. Default: its only user.
    producer: Option<String>,
    /// Whom it was said to: a member of the session, or nobody.
    produced_for: Option<String>,
    /// What was said.
    episode_content: String,
    /// Any word for the kind of message. Default: `message`.
    episode_type: Option<String>,
    /// Anything else, given back as it came. A `timestamp` in it is the time it happened, unless the field of that
    /// name is there.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    /// When it happened: RFC 3339 (UTC without a zone), or seconds or milliseconds of the epoch. Default: now.
    timestamp: Option<Moment>,
    /// The producer's role in the conversation, such as `user` or `assistant`.
    role: Option<String>,
}

/// A time as clients give it.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what `timestamp` reads")]
enum Moment {
    /// RFC 3339; without a zone it is UTC.
    Text(String),
    /// Seconds of the epoch, or milliseconds when above 10^12.
    Epoch(f64),
}

/// A stored message.
#[derive(Serialize, ToSchema)]
#[schema(as = Episode)]
pub(super) struct EpisodeBody {
    /// What was said.
    content: String,
    /// Its identity: the UUID behind `episode-` in the answer to a store.
    uuid: String,
    /// The kind of message.
    episode_type: String,
    /// Always `string`.
    content_type: &'static str,
    /// When it happened: UTC, without a zone.
    timestamp: String,
    /// The group it belongs to.
    group_id: String,
    /// The conversation it belongs to.
    session_id: String,
    /// Who said it.
    producer_id: String,
    /// Whom it was said to.
    produced_for_id: String,
    /// The producer's role, when it was given.
    #[serde(skip_serializing_if = "String::is_empty")]
    role: String,
    /// What came with it.
    #[schema(value_type = Object)]
    user_metadata: Metadata,
}

impl From<Episode> for EpisodeBody {
    fn from(episode: Episode) -> Self {
        Self {
            content: episode.content,
            uuid: episode.id.to_string(),
            episode_type: episode.kind,
            content_type: "string",
            timestamp: memcloud_api::memmachine_v1::zoneless(episode.created_at),
            group_id: episode.space.project,
            session_id: episode.session,
            producer_id: episode.producer,
            produced_for_id: episode.produced_for,
            role: episode.role,
            user_metadata: episode.metadata,
        }
    }
}

/// Reads a message of this session.
pub(super) fn read(
    mut fields: Fields,
    session: &NamedSession,
    purpose: Purpose,
    limits: &Limits,
) -> Result<NewEpisode, Failure> {
    let content = content(&mut fields, limits)?;
    let producer = fields.text("producer")?.filter(|producer| !producer.is_empty());
    let metadata = fields.object("metadata")?.unwrap_or_default();
    Ok(NewEpisode {
        session: session.name.clone(),
        content,
        producer: producer.unwrap_or_else(|| session.usual_producer()),
        produced_for: fields.text("produced_for")?.unwrap_or_default(),
        role: fields.optional_text("role")?.unwrap_or_default(),
        kind: fields
            .text("episode_type")?
            .filter(|kind| !kind.is_empty())
            .unwrap_or_else(|| USUAL_KIND.into()),
        created_at: moment(&mut fields, &metadata)?,
        metadata,
        purpose,
    })
}

fn content(fields: &mut Fields, limits: &Limits) -> Result<String, Failure> {
    let content = fields.required_text("episode_content")?;
    let checked = limits.check_text(Field::Content, &content);
    checked
        .map_err(|error| fields.place("episode_content").refuse(&error, &Value::String(content.clone())))?;
    Ok(content)
}

/// When it happened, where the message says so: in a field of ours, or where clients of the first API put it.
fn moment(fields: &mut Fields, metadata: &Metadata) -> Result<Option<Timestamp>, Failure> {
    if let Some(given) = fields.value("timestamp") {
        return timestamp(&given, || fields.place("timestamp")).map(Some);
    }
    match metadata.get("timestamp") {
        None | Some(Value::Null) => Ok(None),
        Some(given) => timestamp(given, || fields.place("metadata").at("timestamp")).map(Some),
    }
}

fn timestamp(given: &Value, place: impl FnOnce() -> Place) -> Result<Timestamp, Failure> {
    let read = match given {
        Value::String(text) => text.parse(),
        Value::Number(number) => Timestamp::from_epoch(number.as_f64().unwrap_or(f64::NAN)),
        other => Err(Violation::invalid_time(&other.to_string())),
    };
    read.map_err(|error| place().refuse(&error, given))
}
