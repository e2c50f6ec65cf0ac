//! Everything that one instance runs with.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::names::{API_KEYS, BODY_TIMEOUT, INDEX_BYTES, MAX_BODY_BYTES, MAX_CONTENT_BYTES};
use super::notice::Notice;
use super::source::{Sources, unquoted};
use super::{DataFlags, engines, llm, remote_embedding};
use crate::engines::Engines;
use crate::failure::Failure;
use crate::llm::{Llm, RemoteEmbedding};
use crate::local_model::ModelSettings;
use crate::output::Output;

/// What one memory instance runs with.
#[derive(Debug)]
pub(crate) struct InstanceSettings {
    /// Where it keeps its data.
    pub(crate) data_dir: PathBuf,
    /// The address as it was given, for messages.
    pub(crate) listen: String,
    /// Its databases.
    pub(crate) engines: Engines,
    /// Where to find the embedding model.
    pub(crate) model: ModelSettings,
    /// The embedding endpoint, if it uses one instead of a local model.
    pub(crate) embedding: Option<RemoteEmbedding>,
    /// The language model, if there is one.
    pub(crate) llm: Option<Llm>,
    /// What is unwise about these settings.
    pub(crate) notice: Option<Notice>,
    /// The keys that it accepts besides those in the data directory.
    pub(crate) keys: Vec<SecretString>,
    /// The longest content of one message.
    pub(crate) content_bytes: Option<usize>,
    /// The longest body of one request.
    pub(crate) body_bytes: Option<usize>,
    /// How long a client may take to send a body.
    pub(crate) body_timeout: Option<Duration>,
    /// The most memory of ranking indexes.
    pub(crate) index_bytes: Option<usize>,
}

impl InstanceSettings {
    /// Prints what is unwise about the settings.
    pub(crate) fn warn(&self, output: Output) {
        if let Some(notice) = &self.notice {
            output.warn(&notice.message, &notice.hint);
        }
    }

    /// The settings of an instance at this address.
    pub(crate) fn resolve(sources: &Sources, flags: &DataFlags, listen: String) -> Result<Self, Failure> {
        let body_bytes = sources.parsed(&MAX_BODY_BYTES)?;
        let content_bytes = sources.parsed(&MAX_CONTENT_BYTES)?;
        check_sizes(body_bytes, content_bytes)?;
        let (llm, notice) = llm(sources)?;
        Ok(Self {
            data_dir: flags.data_dir(sources)?,
            listen,
            engines: engines(sources)?,
            model: flags.model(sources)?,
            embedding: remote_embedding(sources)?,
            llm,
            notice,
            keys: keys(sources)?,
            content_bytes,
            body_bytes,
            body_timeout: sources.parsed(&BODY_TIMEOUT)?.map(Duration::from_secs),
            index_bytes: sources.parsed(&INDEX_BYTES)?,
        })
    }
}

fn keys(sources: &Sources) -> Result<Vec<SecretString>, Failure> {
    let Some(all) = sources.secret(&API_KEYS, None)? else { return Ok(Vec::new()) };
    let keys = all.expose_secret().split([',', '\n']).map(|key| unquoted(key.trim()).trim());
    let keys: Vec<_> = keys.filter(|key| !key.is_empty()).map(SecretString::from).collect();
    if keys.is_empty() {
        // The operator wants a lock; without a key there would be none.
        return Err(Failure::usage(
            format!("{} holds no key", sources.origin(&API_KEYS)),
            "put a key there, or leave the setting out to serve this machine alone",
        ));
    }
    Ok(keys)
}

/// Refuses a limit of bodies that is below the limit of contents: such a message would fit in no request.
fn check_sizes(body: Option<usize>, content: Option<usize>) -> Result<(), Failure> {
    let body = body.unwrap_or_else(|| memcloud_server::Settings::default().body_bytes);
    let content = content.unwrap_or_else(|| memcloud_memory::Limits::default().content_bytes);
    if body >= content {
        return Ok(());
    }
    let (larger, smaller) = (MAX_BODY_BYTES.name, MAX_CONTENT_BYTES.name);
    Err(Failure::usage(
        format!(
            "{larger} is {body}, less than {smaller}, which is {content}: such a message fits in no request"
        ),
        format!("raise {larger}, or lower {smaller}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_room_for_the_longest_content() {
        assert!(check_sizes(None, None).is_ok() && check_sizes(Some(9), Some(9)).is_ok());
        for (body, content) in [(Some(9), Some(10)), (Some(1_000), None), (None, Some(1 << 30))] {
            let failure = check_sizes(body, content).unwrap_err();
            assert!(failure.message.contains(MAX_BODY_BYTES.name), "{failure:?}");
            assert!(failure.message.contains(MAX_CONTENT_BYTES.name), "{failure:?}");
        }
    }

    #[test]
    fn the_reference_shows_the_real_defaults() {
        let (server, memory) = (memcloud_server::Settings::default(), memcloud_memory::Limits::default());
        for (setting, real) in [
            (&MAX_BODY_BYTES, server.body_bytes.to_string()),
            (&BODY_TIMEOUT, server.body_timeout.as_secs().to_string()),
            (&MAX_CONTENT_BYTES, memory.content_bytes.to_string()),
            (&INDEX_BYTES, memory.index_bytes.to_string()),
        ] {
            assert!(setting.default.starts_with(&format!("`{real}`")), "{}", setting.name);
        }
    }

    #[test]
    fn keys_may_be_quoted_together_or_each() {
        for all in ["one,two", "\"one,two\"", "\"one\",\"two\"", "one\r\ntwo\r\n", "'one' , 'two'"] {
            let keys = keys(&Sources::of(&[("MEMCLOUD_API_KEYS", all)], "")).unwrap();
            let keys: Vec<_> = keys.iter().map(ExposeSecret::expose_secret).collect();
            assert_eq!(keys, ["one", "two"], "{all}");
        }
    }
}
