//! What the instances of a console take over from it: where programs and models are, limits, and how to log. Not what makes
//! an instance: its address, its data, its keys, its databases and its language model.

use super::DataFlags;
use super::names::{
    BODY_TIMEOUT, CALLS_PER_DAY, CALLS_PER_MINUTE, CONTEXT_TOKENS, DB_CA_FILE, DB_POOL, EMBEDDING_DIMENSIONS,
    EMBEDDING_KEY, EMBEDDING_MODEL, EMBEDDING_URL, HEADER_TIMEOUT, INDEX_BYTES, KERNEL, LOG, LOG_FORMAT,
    MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, MAX_CONTENT_BYTES, MAX_METADATA_BYTES,
    MEMORY_BYTES, MODEL_DIR, MODEL_HUB, MODEL_TIMEOUT, NEO4J_CA_FILE, OFFLINE, PROFILE, PROFILE_MESSAGES,
    PROFILE_MODEL, PROFILE_SECONDS, PYPI_INDEX, Setting, THREADS, TOKENS_PER_DAY, TOKENS_PER_MINUTE,
    WRITE_TIMEOUT,
};
use super::source::Sources;
use crate::failure::Failure;

const SETTINGS: [&Setting; 33] = [
    &MODEL_HUB,
    &PYPI_INDEX,
    &KERNEL,
    &THREADS,
    &MAX_CONTENT_BYTES,
    &MAX_METADATA_BYTES,
    &MAX_BODY_BYTES,
    &BODY_TIMEOUT,
    &MEMORY_BYTES,
    &HEADER_TIMEOUT,
    &WRITE_TIMEOUT,
    &MAX_CONNECTIONS,
    &MAX_CONNECTIONS_PER_ADDRESS,
    &INDEX_BYTES,
    &CONTEXT_TOKENS,
    &MODEL_TIMEOUT,
    &PROFILE,
    &PROFILE_MODEL,
    &PROFILE_MESSAGES,
    &PROFILE_SECONDS,
    &CALLS_PER_MINUTE,
    &CALLS_PER_DAY,
    &TOKENS_PER_MINUTE,
    &TOKENS_PER_DAY,
    &EMBEDDING_MODEL,
    &EMBEDDING_URL,
    &EMBEDDING_KEY,
    &EMBEDDING_DIMENSIONS,
    &NEO4J_CA_FILE,
    &DB_CA_FILE,
    &DB_POOL,
    &LOG,
    &LOG_FORMAT,
];

/// Variables that are not settings: where a process finds programs and its files, what it trusts, and how it reaches the
/// internet.
const VARIABLES: [&str; 15] = [
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "NO_PROXY",
    "PATH",
    "RUST_BACKTRACE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "XDG_CACHE_HOME",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The variables of every instance of a console.
pub(crate) fn inherited(sources: &Sources, flags: &DataFlags) -> Result<Vec<(String, String)>, Failure> {
    use secrecy::ExposeSecret;
    let mut variables: Vec<(String, String)> = VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), sources.variable(name)?.clone())))
        .collect();
    for setting in SETTINGS {
        let value = if setting.secret {
            sources.secret(setting, None)?.map(|secret| secret.expose_secret().to_owned())
        } else {
            sources.text(setting, None)
        };
        variables.extend(value.map(|value| (setting.name.to_owned(), value)));
    }
    if let Some(dir) = sources.path(&MODEL_DIR, flags.model_dir.as_deref())? {
        // An instance has another working directory.
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        variables.push((MODEL_DIR.name.to_owned(), dir.display().to_string()));
    }
    if sources.switch(&OFFLINE, flags.offline)? {
        variables.push((OFFLINE.name.to_owned(), "true".to_owned()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ALL, API_KEYS, DATA_DIR, LISTEN, OPENAI_API_KEY};
    use memcloud_control::instances::{Connection, Llm, Settings};
    use memcloud_control::targets::local::variables;

    #[test]
    fn instances_take_over_limits_and_no_keys() {
        let sources = Sources::of(
            &[
                ("PATH", "/bin"),
                ("MEMCLOUD_API_KEYS", "secret"),
                ("OPENAI_API_KEY", "secret"),
                ("MEMCLOUD_KERNEL", "portable"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
            ],
            "max_body_bytes = 9\nembedding_key = 'embeds'\n",
        );
        let flags = DataFlags { offline: true, model_dir: Some("/model".into()), data_dir: None };
        let mut inherited = inherited(&sources, &flags).unwrap();
        inherited.sort();
        let expected = [
            ("MEMCLOUD_EMBEDDING_KEY", "embeds"),
            ("MEMCLOUD_KERNEL", "portable"),
            ("MEMCLOUD_MAX_BODY_BYTES", "9"),
            ("MEMCLOUD_MODEL_DIR", "/model"),
            ("MEMCLOUD_OFFLINE", "true"),
            ("PATH", "/bin"),
        ];
        assert_eq!(inherited, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_makes_an_instance_are_settings_that_a_server_reads() {
        let connection = || Connection {
            connection_string: "postgres://h/d".into(),
            username: Some("ann".into()),
            password: Some("secret".into()),
        };
        let llm = Llm { base_url: Some("http://h".into()), api_key: Some("k".into()), model: "m".into() };
        let settings = Settings {
            neo4j: Some(connection()),
            postgres: Some(connection()),
            llm: Some(llm),
            key: "k".into(),
            own_keys: vec!["own".into()],
            keyless: true,
        };
        let made = variables(&settings);
        assert_eq!(made.len(), 9);
        for (name, _) in made {
            assert!(ALL.iter().any(|setting| setting.name == name), "{name}");
            assert!(!SETTINGS.iter().any(|setting| setting.name == name), "{name}");
        }
        for own in [&API_KEYS, &DATA_DIR, &LISTEN, &OPENAI_API_KEY] {
            assert!(!SETTINGS.iter().any(|setting| setting.name == own.name), "{own:?}");
        }
    }
}
