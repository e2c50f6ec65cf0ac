//! Everything that one instance runs with.

use std::num::NonZeroUsize;
use std::time::Duration;

use memcloud_instance::{Config, Embedding, ServeOptions};
use memcloud_memory::Limits;
use memcloud_server::Settings;
use secrecy::{ExposeSecret, SecretString};

use super::names::{
    API_KEYS, BODY_TIMEOUT, CONSOLE_KEY, HEADER_TIMEOUT, INDEX_BYTES, MAX_BODY_BYTES, MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_ADDRESS, MAX_CONTENT_BYTES, MAX_METADATA_BYTES, MEMORY_BYTES, WRITE_TIMEOUT,
};
use super::notice::Notice;
use super::source::{Sources, unquoted};
use super::{DataFlags, engines, llm, remote_embedding};
use crate::failure::Failure;
use crate::output::Output;

const QUOTES: [char; 2] = ['"', '\''];

/// The settings of one instance.
#[derive(Debug)]
pub(crate) struct InstanceSettings {
    /// What it runs with. The keys of its data directory are not in there yet.
    pub(crate) config: Config,
    /// The keys that the settings name.
    pub(crate) keys: Vec<SecretString>,
    /// The key of a console that manages the instance.
    pub(crate) console_key: Option<SecretString>,
    /// What is unwise about these settings.
    notice: Option<Notice>,
}

impl InstanceSettings {
    /// Reads all of them.
    pub(crate) fn resolve(sources: &Sources, flags: &DataFlags) -> Result<Self, Failure> {
        let (llm, notice) = llm(sources)?;
        let embedding = match remote_embedding(sources)? {
            Some(remote) => Embedding::Remote(remote),
            None => Embedding::Local(flags.model(sources)?),
        };
        let config = Config {
            engines: engines(sources)?,
            embedding,
            llm,
            limits: limits(sources)?,
            server: server(sources)?,
            serving: serving(sources)?,
            ..Config::in_directory(flags.data_dir(sources)?)
        };
        check_sizes(config.server.body_bytes, config.limits.content_bytes)?;
        check_memory(config.limits.in_flight_bytes, config.server.body_bytes)?;
        Ok(Self { config, keys: keys(sources)?, console_key: sources.secret(&CONSOLE_KEY, None)?, notice })
    }

    /// Prints what is unwise about them.
    pub(crate) fn warn(&self, output: Output) {
        if let Some(notice) = &self.notice {
            output.warn(&notice.message, &notice.hint);
        }
    }
}

fn limits(sources: &Sources) -> Result<Limits, Failure> {
    let usual = Limits::default();
    Ok(Limits {
        content_bytes: sources.parsed(&MAX_CONTENT_BYTES)?.unwrap_or(usual.content_bytes),
        metadata_bytes: sources.parsed(&MAX_METADATA_BYTES)?.unwrap_or(usual.metadata_bytes),
        in_flight_bytes: sources.parsed(&MEMORY_BYTES)?.map_or(usual.in_flight_bytes, |all: usize| all / 2),
        index_bytes: sources.parsed(&INDEX_BYTES)?.unwrap_or(usual.index_bytes),
        ..usual
    })
}

fn server(sources: &Sources) -> Result<Settings, Failure> {
    let usual = Settings::default();
    Ok(Settings {
        body_bytes: sources.parsed(&MAX_BODY_BYTES)?.unwrap_or(usual.body_bytes),
        body_timeout: sources.parsed(&BODY_TIMEOUT)?.map_or(usual.body_timeout, Duration::from_secs),
        ..usual
    })
}

fn serving(sources: &Sources) -> Result<ServeOptions, Failure> {
    let usual = ServeOptions::default();
    let count = |setting| sources.parsed::<NonZeroUsize>(setting).map(|count| count.map(NonZeroUsize::get));
    Ok(ServeOptions {
        header_timeout: sources.parsed(&HEADER_TIMEOUT)?.map_or(usual.header_timeout, Duration::from_secs),
        write_timeout: sources.parsed(&WRITE_TIMEOUT)?.map_or(usual.write_timeout, Duration::from_secs),
        connections: count(&MAX_CONNECTIONS)?.unwrap_or(usual.connections),
        connections_per_address: count(&MAX_CONNECTIONS_PER_ADDRESS)?,
        ..usual
    })
}

fn keys(sources: &Sources) -> Result<Vec<SecretString>, Failure> {
    let all = sources.secret(&API_KEYS, None)?;
    if all.is_none() && !sources.has_variable(&API_KEYS) {
        return Ok(Vec::new());
    }
    let all = all.unwrap_or_default();
    let keys = all.expose_secret().split([',', '\n']).map(|key| unquoted(key.trim()).trim());
    let keys: Vec<_> = keys.filter(|key| !key.is_empty()).map(SecretString::from).collect();
    if keys.is_empty() {
        // The operator wants a key; a blank value would leave the instance open.
        return Err(Failure::usage(
            format!("{} holds no key", sources.origin(&API_KEYS)),
            "put a key there, or unset it to serve this machine alone",
        ));
    }
    if keys.iter().any(|key| key.expose_secret().starts_with(QUOTES) || key.expose_secret().ends_with(QUOTES))
    {
        return Err(Failure::usage(
            format!("{} holds a key with half a pair of quotes", sources.origin(&API_KEYS)),
            "remove the quote, or add the other one: the quotes around a key do not belong to it",
        ));
    }
    Ok(keys)
}

/// Refuses a limit of bodies that is below the limit of contents: such a message would fit in no request.
fn check_sizes(body: usize, content: usize) -> Result<(), Failure> {
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

/// Refuses memory in which the largest request has no room: such a request would always be refused as busy.
fn check_memory(in_flight: usize, body: usize) -> Result<(), Failure> {
    let largest = memcloud_server::largest_request(body);
    if in_flight >= largest {
        return Ok(());
    }
    let (memory, limit) = (MEMORY_BYTES.name, MAX_BODY_BYTES.name);
    Err(Failure::usage(
        format!(
            "a request of {limit} ({body}) may take {largest} bytes of memory, more than half of {memory}"
        ),
        format!("raise {memory} to {} or more, or lower {limit}", 2 * largest),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_room_for_the_longest_content() {
        let (body, content) = (Settings::default().body_bytes, Limits::default().content_bytes);
        assert!(check_sizes(body, content).is_ok() && check_sizes(9, 9).is_ok());
        for (body, content) in [(9, 10), (1_000, content), (body, 1 << 30)] {
            let failure = check_sizes(body, content).unwrap_err();
            assert!(failure.message.contains(MAX_BODY_BYTES.name), "{failure:?}");
            assert!(failure.message.contains(MAX_CONTENT_BYTES.name), "{failure:?}");
        }
    }

    #[test]
    fn the_largest_request_has_room() {
        let (body, in_flight) = (Settings::default().body_bytes, Limits::default().in_flight_bytes);
        assert!(check_memory(in_flight, body).is_ok());
        let failure = check_memory(in_flight, 64 << 20).unwrap_err();
        assert!(failure.message.contains(MEMORY_BYTES.name), "{failure:?}");
        assert!(failure.hint.contains(MAX_BODY_BYTES.name), "{failure:?}");
    }

    #[test]
    fn the_reference_shows_the_real_defaults() {
        let (server, serving, memory) = (Settings::default(), ServeOptions::default(), Limits::default());
        for (setting, real) in [
            (&MAX_BODY_BYTES, server.body_bytes.to_string()),
            (&BODY_TIMEOUT, server.body_timeout.as_secs().to_string()),
            (&HEADER_TIMEOUT, serving.header_timeout.as_secs().to_string()),
            (&WRITE_TIMEOUT, serving.write_timeout.as_secs().to_string()),
            (&MAX_CONNECTIONS, serving.connections.to_string()),
            (&MAX_CONTENT_BYTES, memory.content_bytes.to_string()),
            (&MAX_METADATA_BYTES, memory.metadata_bytes.to_string()),
            (&MEMORY_BYTES, (2 * memory.in_flight_bytes).to_string()),
            (&INDEX_BYTES, memory.index_bytes.to_string()),
        ] {
            assert!(setting.default.starts_with(&format!("`{real}`")), "{}", setting.name);
        }
    }

    #[test]
    fn a_blank_variable_of_keys_is_refused() {
        for (name, blank) in
            [("MEMCLOUD_API_KEYS", ""), ("MEMCLOUD_API_KEYS", "\"\"\n"), ("MEMCLOUD_API_KEYS_FILE", " ")]
        {
            let failure = keys(&Sources::of(&[(name, blank)], "")).unwrap_err();
            assert_eq!(failure.message, format!("{name} holds no key"));
        }
        let one = Sources::of(&[("MEMCLOUD_API_KEYS", "")], "api_keys = 'one'");
        assert_eq!(keys(&one).unwrap().len(), 1, "the file has one");
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
