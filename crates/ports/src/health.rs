//! Whether the parts of an engine work at this moment.

use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Database, Error};

/// How long proving a part may take, for engines that must ask elsewhere.
pub const PROBE_WITHIN: Duration = Duration::from_millis(1_500);

/// A part of a memory that can fail on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The data directory.
    Store,
    /// A database of its own.
    Database(Database),
    /// The embedding model.
    Embedder,
}

/// What became of trying a part.
#[derive(Debug)]
pub struct Check {
    /// The part.
    pub part: Part,
    /// Whether it works.
    pub outcome: Result<(), Error>,
}

/// Tries the parts of an engine.
#[async_trait]
pub trait Health: Send + Sync {
    /// Proves that each of its parts can be written and read at this moment, without leaving anything behind.
    async fn probe(&self) -> Vec<Check>;
}
