use std::fmt;

use serde::{Deserialize, Serialize};

/// How an instance reaches a database.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The address: `bolt://…` and its kin for Neo4j, `postgres://…` for PostgreSQL.
    pub connection_string: String,
    /// The user, where the address names none.
    pub username: Option<String>,
    /// The password, where the address names none.
    pub password: Option<String>,
}

/// How an instance reaches its language model.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Llm {
    /// The address of an endpoint with OpenAI's shapes; `None` for OpenAI itself.
    pub base_url: Option<String>,
    /// The key, where the endpoint needs one.
    pub api_key: Option<String>,
    /// The model that chats.
    pub model: String,
}

/// What an instance is started with. It holds secrets: it is kept sealed, as one.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Its Neo4j.
    pub neo4j: Option<Connection>,
    /// Its PostgreSQL.
    pub postgres: Option<Connection>,
    /// Its language model.
    pub llm: Option<Llm>,
    /// The key by which the control plane manages it. Made with the instance.
    pub key: String,
    /// Further keys that it accepts.
    #[serde(default)]
    pub own_keys: Vec<String>,
    /// Whether programs of its machine need no key as long as it has none but that of the control plane.
    #[serde(default)]
    pub keyless: bool,
}

macro_rules! hidden {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    )+};
}

hidden!(Connection, Llm, Settings);
