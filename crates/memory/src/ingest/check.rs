//! What is refused before anything is embedded or stored.

use memcloud_domain::{Error, Metadata, NewEpisode};
use serde_json::Value;

use crate::ingest::StoreRequest;
use crate::limits::Limits;

pub(super) fn request(request: &StoreRequest, limits: &Limits) -> Result<(), Error> {
    limits.check_name("org", &request.space.org)?;
    limits.check_name("group_id", &request.space.project)?;
    for of in &request.members {
        limits.check_name("session_id", &of.session)?;
        of.members.iter().try_for_each(|member| limits.check_name("user_id or agent_id", member.name()))?;
    }
    if let Some(key) = &request.idempotency_key {
        limits.check_name("Idempotency-Key", key)?;
    }
    request.episodes.iter().try_for_each(|new| episode(new, limits))
}

fn episode(episode: &NewEpisode, limits: &Limits) -> Result<(), Error> {
    limits.check_name("session_id", &episode.session)?;
    limits.check_name("producer", &episode.producer)?;
    limits.check_name("produced_for", &episode.produced_for)?;
    limits.check_name("role", &episode.role)?;
    limits.check_name("episode_type", &episode.kind)?;
    if episode.content.trim().is_empty() {
        return Err(Error::EmptyContent);
    }
    limits.check_length(&episode.content)?;
    if episode.content.contains('\0') {
        return Err(Error::NulCharacter { field: "episode_content" });
    }
    if has_nul(&episode.metadata) {
        return Err(Error::NulCharacter { field: "metadata" });
    }
    Ok(())
}

/// Whether any text in the metadata holds NUL. JSON allows it, but PostgreSQL cannot store it, and an engine must not
/// accept what another cannot.
fn has_nul(metadata: &Metadata) -> bool {
    fn inside(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(inside),
            Value::Object(map) => has_nul(map),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    metadata.iter().any(|(key, value)| key.contains('\0') || inside(value))
}
