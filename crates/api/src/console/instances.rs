use std::fmt;

use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{GooglePlace, Reason};
use crate::Problems;

/// An instance to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct NewInstance {
    /// Its name: 1 to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends.
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    pub name: String,
    /// Where it runs: `local`, this machine, or `google`, Google Cloud. Default: `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub target: Option<String>,
    /// What it keeps its memory in: `embedded`, `postgres` or `neo4j`; for `google` it is `postgres`, `aura`, `vm` or `gke`, and
    /// databases that are not given are made. Default: what the connections make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub topology: Option<String>,
    /// Where and how it runs, for `google`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub google: Option<GooglePlace>,
    /// Its Neo4j.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub neo4j: Option<Connection>,
    /// Its PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub postgres: Option<Connection>,
    /// Its language model. Without one it stores and finds, and neither learns nor chats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub llm: Option<Llm>,
}

/// How an instance reaches a database. It is kept sealed and never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct Connection {
    /// The address: `bolt://host:7687` or `neo4j+s://…` for Neo4j, `postgres://host:5432/database` for PostgreSQL.
    #[schema(min_length = 1)]
    pub connection_string: String,
    /// The user. Default: the one in the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub username: Option<String>,
    /// The password. Default: the one in the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub password: Option<String>,
}

/// How an instance reaches its language model. The key is kept sealed and never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct Llm {
    /// The address of an endpoint with OpenAI's shapes. Default: OpenAI's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub base_url: Option<String>,
    /// The key, where the endpoint needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub api_key: Option<String>,
    /// The model that chats and learns.
    #[schema(min_length = 1)]
    pub model: String,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection(hidden)")
    }
}

impl fmt::Debug for Llm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Llm({})", self.model)
    }
}

/// A memory server that the console manages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its name, which no other instance of the organization has.
    pub name: String,
    /// Where it runs: `local` or `google`.
    pub target: String,
    /// What it keeps its memory in: `embedded`, `postgres`, `neo4j`, `aura`, `vm` or `gke`.
    pub topology: String,
    /// Where it listens; null until it has an address.
    pub url: Option<String>,
    /// `queued`, `preparing`, `deploying`, `checking`, `running`, `degraded`, `crashed`, `stopped`, `removing`, `removed` or
    /// `failed`. Only what passed its verification is `running`.
    pub state: String,
    /// What it should be: `running`, `stopped` or `removed`.
    pub wanted: String,
    /// Why it is in this state, where that needs a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The version of its program, as it says itself; null until it has run.
    pub version: Option<String>,
    /// Whether a language model is set.
    pub has_llm: bool,
    /// What it was seen to do.
    pub capabilities: Vec<Capability>,
    /// When it was made.
    pub created_at: String,
    /// When its state last changed.
    pub changed_at: String,
}

/// Something that people want of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Capability {
    /// `memory_working`, `persistence`, `profile` or `chat_enabled`.
    pub name: String,
    /// `yes` with evidence younger than a day, `no`, or `not_checked`.
    pub state: String,
    /// When it was last checked; null if never.
    pub checked_at: Option<String>,
    /// Why it is not there, or not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

/// What a verification saw of one criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// `store`, `search`, `other_session`, `no_timeout`, `persistence`, `profile` or `chat`.
    pub criterion: String,
    /// `passed`, `failed` or `not_checked`.
    pub outcome: String,
    /// What was sent to the instance.
    pub sent: String,
    /// What came back, shortened.
    pub received: String,
    /// How long it took, in milliseconds.
    pub millis: f64,
    /// When.
    pub at: String,
    /// Why it failed or was not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Instances, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Instances {
    /// The instances.
    pub instances: Vec<Instance>,
    /// Where the next page begins, to be sent as `cursor`; null on the last page.
    pub next_cursor: Option<String>,
}

/// An operation that was begun. It has not ended: its state and its events say what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// The instance as it is now.
    pub instance: Instance,
    /// The operation.
    pub operation: super::Operation,
}

/// How to clone an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct Clone {
    /// The name of the new instance.
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    pub name: String,
}

/// What to upgrade an instance to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct Upgrade {
    /// The path of a `memcloud` program on the console's machine. Default: the console's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub program: Option<String>,
}

/// How to delete an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct DeleteInstance {
    /// The name of the instance.
    pub confirm: String,
    /// What happens to its data: `keep` or `delete`. Default: `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub data: Option<String>,
}

/// Something that is there and belongs to no instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leftover {
    /// `folder`, `process` or `port`.
    pub kind: String,
    /// Where it is: a path, the number of a process, an address.
    pub place: String,
    /// Why it is there, as far as that is known.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

/// What is there and belongs to no instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leftovers {
    /// What was found.
    pub leftovers: Vec<Leftover>,
}

/// A part of the log of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPart {
    /// Whole lines.
    pub text: String,
    /// Where the next part begins, to be sent as `from`.
    pub next: u64,
}

/// A server-sent event of a log that is followed: its name and its data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "lowercase")]
pub enum LogStreamEvent {
    /// The lines that were written since the event before.
    Log(LogPart),
}
