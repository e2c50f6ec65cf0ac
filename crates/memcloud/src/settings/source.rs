//! Where settings come from, and how a text becomes a value.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;
use secrecy::SecretString;

use super::names::{ALL, CONFIG, Setting};
use crate::failure::Failure;

/// The values of the environment and of the settings file. Flags are passed to each method, since they win.
pub(crate) struct Sources {
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    settings_file: Option<PathBuf>,
}

impl Sources {
    /// Reads the environment, and the settings file if there is one.
    pub(crate) fn load(config: Option<&Path>) -> Result<Self, Failure> {
        let mut sources = Self { environment: environment()?, file: BTreeMap::new(), settings_file: None };
        let named = sources.path(&CONFIG, config)?;
        let path =
            named.clone().or_else(|| Xdg::new().ok().map(|x| x.config_dir().join("memcloud/config.toml")));
        if let Some(path) = path {
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    sources.file = parse_file(&text, &path)?;
                    sources.settings_file = Some(path);
                }
                Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, &error)),
            }
        }
        Ok(sources)
    }

    /// The values of these variables alone.
    pub(crate) fn of_variables(variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let environment = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { environment, file: BTreeMap::new(), settings_file: None }
    }

    /// A variable of the environment that is not a setting.
    pub(super) fn variable(&self, name: &str) -> Option<&String> {
        self.environment.get(name)
    }

    /// A setting as text. An empty value counts as not set.
    pub(crate) fn text(&self, setting: &Setting, flag: Option<&str>) -> Option<String> {
        flag.map(plain).or_else(|| self.in_environment(setting)).or_else(|| self.in_file(setting))
    }

    /// A setting as the environment alone has it.
    pub(crate) fn in_environment(&self, setting: &Setting) -> Option<String> {
        self.environment.get(setting.name).map(|value| plain(value)).filter(|value| !value.is_empty())
    }

    /// A setting as the settings file alone has it.
    pub(crate) fn in_file(&self, setting: &Setting) -> Option<String> {
        self.file.get(&setting.key()).map(|value| plain(value)).filter(|value| !value.is_empty())
    }

    /// A setting that is a number or the like.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self, setting: &Setting) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(setting, None) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| {
            let origin = self.origin(setting);
            Failure::usage(
                format!("{origin} is '{text}': {error}"),
                format!("correct {origin}. {}", setting.meaning),
            )
        })
    }

    /// A setting that is a port.
    pub(crate) fn port(&self, setting: &Setting) -> Result<Option<u16>, Failure> {
        self.text(setting, None).map(|text| self.to_port(setting, &text)).transpose()
    }

    /// The text of a setting as a port. Container platforms name whole addresses in variables of the same name.
    pub(super) fn to_port(&self, setting: &Setting, text: &str) -> Result<u16, Failure> {
        text.parse().map_err(|_| {
            let origin = self.origin(setting);
            let is_address = text.contains("://");
            let kind = if is_address { "an address" } else { "not a port" };
            let hint = if is_address && origin == setting.name {
                "set it to the number alone or unset it; Kubernetes sets such a variable for a service of that name, \
                 unless the pod has 'enableServiceLinks: false'"
            } else {
                "set it to such a number, or leave it out"
            };
            let message = format!("{origin} is '{text}', which is {kind}; a port is a number from 0 to 65535");
            Failure::usage(message, hint)
        })
    }

    /// Whether something is switched on: by its flag, or by `1`, `true`, `yes` or `on`.
    pub(crate) fn switch(&self, setting: &Setting, flag: bool) -> Result<bool, Failure> {
        let text = self.text(setting, flag.then_some("true")).unwrap_or_default();
        match text.to_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "" | "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(Failure::usage(
                format!("{} is '{text}', which is neither true nor false", self.origin(setting)),
                "set it to true or false",
            )),
        }
    }

    /// A setting that is a path. `~` and `$HOME` at its beginning mean the home folder.
    pub(crate) fn path(&self, setting: &Setting, flag: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
        let given = flag.map(Path::to_path_buf).or_else(|| self.text(setting, None).map(PathBuf::from));
        given.map(|path| self.expanded(setting.name, &path)).transpose()
    }

    /// A path without blanks and quotes around it, and with the home folder in place of `~` or `$HOME`. `named_by` is
    /// the setting or flag that holds it.
    pub(crate) fn expanded(&self, named_by: &str, path: &Path) -> Result<PathBuf, Failure> {
        let path = path.to_str().map_or_else(|| path.to_path_buf(), |text| plain(text).into());
        let mut parts = path.components();
        let first = parts.next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let first = first.unwrap_or_default();
        if !first.starts_with(['~', '$']) {
            return Ok(path);
        }
        let home = self.environment.get("HOME").filter(|home| !home.is_empty());
        match home {
            Some(home) if matches!(first.as_str(), "~" | "$HOME" | "${HOME}") => {
                Ok(Path::new(home).join(parts.as_path()))
            }
            _ => Err(Failure::usage(
                format!(
                    "{named_by} is '{}', and '{first}' is not a folder that memcloud can find",
                    path.display()
                ),
                "write the path in full, such as /home/ann/memory; only ~ and $HOME are replaced, by the home folder",
            )),
        }
    }

    /// A secret: the flag, the variable, the file that `NAME_FILE` names, or the settings file.
    pub(crate) fn secret(
        &self,
        setting: &Setting,
        flag: Option<&str>,
    ) -> Result<Option<SecretString>, Failure> {
        let here = flag.or(self.environment.get(setting.name).map(String::as_str)).map(exact);
        let text = match here.filter(|value| !value.trim().is_empty()) {
            Some(text) => Some(text),
            None => match self.secret_file(setting)? {
                Some(text) => Some(text),
                None => self.file.get(&setting.key()).map(|text| exact(text)),
            },
        };
        Ok(text.map(SecretString::from))
    }

    /// The file that `NAME_FILE` names.
    fn secret_path(&self, setting: &Setting) -> Result<Option<PathBuf>, Failure> {
        let variable = setting.file_variable();
        let path = self.environment.get(&variable).map(|path| plain(path)).filter(|path| !path.is_empty());
        path.map(|path| self.expanded(&variable, Path::new(&path))).transpose()
    }

    /// The content of the file that `NAME_FILE` names.
    fn secret_file(&self, setting: &Setting) -> Result<Option<String>, Failure> {
        let variable = setting.file_variable();
        let Some(path) = self.secret_path(setting)? else { return Ok(None) };
        std::fs::read_to_string(&path).map(|text| Some(exact(&text))).map_err(|error| {
            Failure::usage(
                format!("{variable}: cannot read {}: {error}", path.display()),
                "name a file that holds the secret",
            )
        })
    }

    /// The files that hold secrets: those that variables name, and the settings file if it holds any.
    pub(crate) fn secret_files(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut files = Vec::new();
        for setting in ALL.iter().filter(|setting| setting.secret) {
            files.extend(self.secret_path(setting)?);
            if self.file.contains_key(&setting.key()) {
                files.extend(self.settings_file.clone());
            }
        }
        files.dedup();
        Ok(files)
    }

    /// Whether the environment has a variable for a secret, even a blank one.
    pub(super) fn has_variable(&self, setting: &Setting) -> bool {
        [setting.name, &setting.file_variable()].iter().any(|name| self.environment.contains_key(*name))
    }

    /// The place that a setting without a flag comes from, as the operator knows it.
    pub(super) fn origin(&self, setting: &Setting) -> String {
        let set = |name: &str| self.environment.get(name).is_some_and(|value| !value.trim().is_empty());
        match setting.file_variable() {
            _ if set(setting.name) => setting.name.to_owned(),
            variable if setting.secret && set(&variable) => variable,
            _ if self.file.contains_key(&setting.key()) => setting.in_file(),
            variable if setting.secret && self.environment.contains_key(&variable) => variable,
            _ => setting.name.to_owned(),
        }
    }

    #[cfg(test)]
    pub(super) fn of(environment: &[(&str, &str)], file: &str) -> Self {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let file = parse_file(file, Path::new("config.toml")).unwrap();
        Self { environment, file, settings_file: None }
    }
}

/// The variables that are texts. A setting that is not is refused: as if it were not set, an instance would open
/// without its keys.
fn environment() -> Result<BTreeMap<String, String>, Failure> {
    let mut environment = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => drop(environment.insert(name, value)),
            Err(_) if ALL.iter().any(|setting| setting.is_variable(&name)) => {
                return Err(Failure::usage(
                    format!("{name} is not valid UTF-8"),
                    format!("set {name} to a text in UTF-8, or unset it"),
                ));
            }
            Err(_) => {}
        }
    }
    Ok(environment)
}

/// A value without blanks, line ends and a pair of quotes around it.
fn plain(value: &str) -> String {
    unquoted(value.trim()).trim().to_owned()
}

/// A secret without a line end and a pair of quotes around it. Editors and `echo` add the one, `--env-file` of
/// container tools keeps the other.
fn exact(value: &str) -> String {
    let value = value.strip_prefix('\u{feff}').unwrap_or(value);
    unquoted(value.trim_end_matches(['\r', '\n'])).to_owned()
}

/// A text without the pair of quotes around it.
pub(super) fn unquoted(text: &str) -> &str {
    let inner = |quote| text.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        format!("cannot read the settings file {}: {error}", path.display()),
        format!("correct {} or {}", CONFIG.flag, CONFIG.name),
    )
}

/// The settings of a file, each under its key. An unknown key is refused: it is most likely misspelled.
fn parse_file(text: &str, path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let wrong = |what: String| {
        Failure::usage(
            format!("{}: {what}", path.display()),
            "see docs/reference/settings.md for the settings and their keys",
        )
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table: toml::Table = text.parse().map_err(|error| wrong(toml_mistake(text, &error)))?;
    let mut settings = BTreeMap::new();
    for (key, value) in table {
        let Some(setting) = ALL.iter().find(|setting| setting.key() == key) else {
            return Err(wrong(format!("there is no setting '{key}'")));
        };
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Array(items) => {
                let texts: Option<Vec<_>> = items.iter().map(toml::Value::as_str).collect();
                texts
                    .ok_or_else(|| wrong(format!("'{key}' must be a list of texts, each in quotes")))?
                    .join(",")
            }
            // TOML reads `0x10` and `1_0` as numbers, and a secret is what was written.
            _ if setting.secret => return Err(wrong(format!("'{key}' must be text, in quotes"))),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            _ => return Err(wrong(format!("'{key}' must be text, a whole number, true or false"))),
        };
        settings.insert(key, text);
    }
    Ok(settings)
}

/// A mistake in a TOML file, without its line, which may hold a secret. A message that quotes the file is left out, too.
fn toml_mistake(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let message = Some(error.message()).filter(|message| !message.contains(['`', '\'', '"', '\n']));
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    format!("line {} is not valid TOML{message}", before.split('\n').count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{API_KEY, DATA_DIR, DB_PASSWORD, DB_PORT, KERNEL, OFFLINE, THREADS, URL};
    use secrecy::ExposeSecret;

    fn secret(sources: &Sources, setting: &Setting) -> String {
        sources.secret(setting, None).unwrap().unwrap().expose_secret().to_owned()
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let sources =
            Sources::of(&[("MEMCLOUD_URL", "http://environment")], "url = 'http://file'\ndata_dir = '/file'");
        assert_eq!(sources.text(&URL, Some("http://flag")).unwrap(), "http://flag");
        assert_eq!(sources.text(&URL, None).unwrap(), "http://environment");
        assert_eq!(sources.text(&DATA_DIR, None).unwrap(), "/file");
        assert_eq!(sources.text(&KERNEL, None), None);
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        for empty in ["", " ", "\r", "\"\""] {
            let sources = Sources::of(&[("MEMCLOUD_URL", empty)], "url = 'http://file'");
            assert_eq!(sources.text(&URL, None).unwrap(), "http://file", "{empty:?}");
        }
    }

    #[test]
    fn quotes_and_line_ends_around_a_value_are_removed() {
        for url in ["\"http://there\"", "'http://there'", "http://there\r", " \"http://there\"\r\n"] {
            assert_eq!(Sources::of(&[("MEMCLOUD_URL", url)], "").text(&URL, None).unwrap(), "http://there");
        }
        for password in ["\"a b\"", "'a b'", "a b\r\n", "\"a b\"\r"] {
            assert_eq!(secret(&Sources::of(&[("DB_PASSWORD", password)], ""), &DB_PASSWORD), "a b");
        }
    }

    #[test]
    fn quotes_that_are_not_a_pair_around_all_of_it_stay() {
        for password in ["\"", "a\"", "\"a", "'a\"", "\"a\"b\"", " a "] {
            assert_eq!(secret(&Sources::of(&[("DB_PASSWORD", password)], ""), &DB_PASSWORD), password);
        }
    }

    #[test]
    fn a_secret_can_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for text in ["mc_secret\n", "\u{feff}mc_secret\r\n", "\"mc_secret\""] {
            std::fs::write(&path, text).unwrap();
            let sources =
                Sources::of(&[("MEMCLOUD_API_KEY_FILE", path.to_str().unwrap())], "api_key = 'other'");
            assert_eq!(secret(&sources, &API_KEY), "mc_secret");
            assert!(!format!("{:?}", sources.secret(&API_KEY, None).unwrap()).contains("mc_secret"));
        }
    }

    #[test]
    fn a_mistake_in_the_file_is_placed_without_its_line() {
        for (file, line) in [
            ("threads = 2\ndb_password = hunter2", 2),
            ("db_password = \"hunter2", 1),
            ("api_key = 'a'\n\napi_key = 'hunter2'", 3),
            ("db_password = 'hunter2' hunter2", 1),
            ("db_password = [hunter2]", 1),
            ("db_password: hunter2", 1),
        ] {
            let message = parse_file(file, Path::new("c.toml")).unwrap_err().message;
            assert!(message.starts_with(&format!("c.toml: line {line} is not valid TOML")), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn an_unknown_key_of_the_file_is_refused() {
        assert!(parse_file("dta_dir = '/x'", Path::new("c.toml")).unwrap_err().message.contains("dta_dir"));
    }

    #[test]
    fn a_value_that_cannot_be_read_is_refused_by_its_place() {
        let file =
            Sources::of(&[("DB_PORT_FILE", "/x")], "threads = 'two'\noffline = 'maybe'\ndb_port = 70000");
        let environment = [("MEMCLOUD_THREADS", "two"), ("MEMCLOUD_OFFLINE", "maybe"), ("DB_PORT", "70000")];
        let environment = Sources::of(&environment, "threads = 1\noffline = true\ndb_port = 1");
        for setting in [&THREADS, &OFFLINE, &DB_PORT] {
            for (sources, place) in [(&file, setting.in_file()), (&environment, setting.name.to_owned())] {
                let failure = match setting.name {
                    "MEMCLOUD_OFFLINE" => sources.switch(setting, false).unwrap_err(),
                    "DB_PORT" => sources.port(setting).unwrap_err(),
                    _ => sources.parsed::<usize>(setting).unwrap_err(),
                };
                assert!(failure.message.starts_with(&format!("{place} is '")), "{failure:?}");
            }
        }
    }

    #[test]
    fn a_secret_of_the_file_is_text() {
        for file in
            ["api_keys = true", "api_keys = [123, 'abc']", "api_keys = [['abc']]", "db_password = 123"]
        {
            let failure = parse_file(file, Path::new("c.toml")).map(drop).unwrap_err();
            assert!(failure.message.contains("text") && !failure.message.contains("123"), "{failure:?}");
        }
        assert_eq!(
            parse_file("api_keys = ['abc', 'def']", Path::new("c.toml")).unwrap()["api_keys"],
            "abc,def"
        );
    }

    #[test]
    fn a_path_may_begin_with_the_home_folder() {
        let sources = Sources::of(&[("HOME", "/home/ann")], "");
        let path = |text: &str| sources.expanded("DIR", Path::new(text)).map_err(|failure| failure.message);
        for home in ["~", "$HOME", "${HOME}"] {
            assert_eq!(path(home).unwrap(), Path::new("/home/ann"));
            assert_eq!(path(&format!("{home}/mem")).unwrap(), Path::new("/home/ann/mem"));
        }
        for flag in ["\"~/mem\"", "'$HOME/mem'", "~/mem\r", " ~/mem\r\n", "'/home/ann/mem'"] {
            assert_eq!(path(flag).unwrap(), Path::new("/home/ann/mem"), "{flag:?}");
        }
        assert_eq!(path("/srv/~/mem").unwrap(), Path::new("/srv/~/mem"));
        for other in ["~bob/mem", "$HOMES/mem", "$DATA", "~mem"] {
            assert!(path(other).unwrap_err().contains("DIR"), "{other}");
        }
        let homeless = Sources::of(&[], "");
        assert!(homeless.expanded("DIR", Path::new("~/mem")).is_err());
    }
}
