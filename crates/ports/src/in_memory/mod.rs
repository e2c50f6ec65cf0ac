//! An engine that keeps everything in memory, for tests.
//!
//! It is the shortest implementation of every port: read it to see what an engine must do. The tests of the other
//! engines run the same operations on it and compare every answer. It loses everything when it is dropped.

mod categories;
mod episodes;
mod facts;
mod history;
mod keys;
mod learning_queue;
mod records;
mod sessions;
mod spaces;
mod usage;
mod vectors;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{Clock, Episode, EpisodeId, Error, FactId, Session, Space};

use crate::{Component, EmbeddedFact, Engine, Health, HealthCheck, Intent, Keys, Store, Usage, unique_id};

/// An engine without a disk.
pub struct InMemoryEngine {
    clock: Arc<dyn Clock>,
    name: String,
    state: Mutex<State>,
}

/// All that the engine keeps. One lock guards it, so every operation is one transaction.
#[derive(Default)]
struct State {
    spaces: BTreeMap<Space, spaces::KnownSpace>,
    /// How many spaces have been deleted.
    lives: u64,
    /// In the order in which they were first seen.
    sessions: Vec<Session>,
    episodes: BTreeMap<EpisodeId, Row>,
    requests: HashMap<[u8; 32], episodes::Request>,
    vector_space: Option<String>,
    queue: learning_queue::Queue,
    facts: BTreeMap<FactId, EmbeddedFact>,
    catalog: categories::Catalog,
    /// By the length of the span and by when it began.
    usage: BTreeMap<(i64, i64), Usage>,
    keys: Keys,
    intents: HashMap<Intent, records::Noted>,
}

/// An episode with what is derived from it.
struct Row {
    episode: Episode,
    sequence: crate::Sequence,
    vector: Option<Vec<f16>>,
    analysis: Vec<u8>,
}

impl InMemoryEngine {
    /// An empty engine.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let name = unique_id(clock.now()).to_string();
        Self { clock, name, state: Mutex::default() }
    }

    /// An empty engine as the bundle that a memory is opened over.
    pub fn engine(clock: Arc<dyn Clock>) -> Engine {
        Engine::of(Arc::new(Self::new(clock)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for InMemoryEngine {}

#[async_trait]
impl Health for InMemoryEngine {
    async fn probe(&self) -> Vec<HealthCheck> {
        vec![HealthCheck { component: Component::Store, outcome: Ok(()) }]
    }

    fn intact(&self) -> Result<(), Error> {
        Ok(())
    }
}
