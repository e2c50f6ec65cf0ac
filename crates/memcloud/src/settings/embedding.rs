//! The embedding endpoint of an instance.

use std::time::Duration;

use memcloud_instance::RemoteModel;
use memcloud_llm::Timeouts;

use super::llm::{OPENAI, endpoint, timeouts};
use super::names::{
    EMBEDDING_DIMENSIONS, EMBEDDING_KEY, EMBEDDING_MODEL, EMBEDDING_URL, OPENAI_API_KEY, OPENAI_BASE_URL,
};
use super::source::Sources;
use crate::failure::Failure;

/// How long an embedding endpoint may be silent. A search waits for it, so this is less than a chat may take.
const MAX_SILENCE: Duration = Duration::from_secs(15);

/// The endpoint that the settings name; `None` when the local model embeds.
pub(crate) fn remote_embedding(sources: &Sources) -> Result<Option<RemoteModel>, Failure> {
    let named = sources.text(&EMBEDDING_URL, None);
    let Some(model) = sources.text(&EMBEDDING_MODEL, None) else {
        return if named.is_none() { Ok(None) } else { Err(no_model()) };
    };
    let key = match sources.secret(&EMBEDDING_KEY, None)? {
        Some(key) => Some(key),
        // The key of one endpoint is never sent to another.
        None if named.is_none() => sources.secret(&OPENAI_API_KEY, None)?,
        None => None,
    };
    let setting = if named.is_some() { &EMBEDDING_URL } else { &OPENAI_BASE_URL };
    let address = named.or_else(|| sources.text(&OPENAI_BASE_URL, None)).unwrap_or_else(|| OPENAI.into());
    let timeouts = timeouts(sources)?;
    let timeouts = Timeouts { silence: timeouts.silence.min(MAX_SILENCE), ..timeouts };
    let dimensions = sources.parsed::<std::num::NonZeroUsize>(&EMBEDDING_DIMENSIONS)?;
    let endpoint = endpoint(setting, &address, key, timeouts)?;
    Ok(Some(RemoteModel { endpoint, model, dimensions: dimensions.map(Into::into) }))
}

fn no_model() -> Failure {
    Failure::usage(
        format!("{} is set, but {} is not", EMBEDDING_URL.name, EMBEDDING_MODEL.name),
        format!("name the embedding model with {}", EMBEDDING_MODEL.name),
    )
}
