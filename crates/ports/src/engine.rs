//! The ports of one engine, bundled.

use std::sync::Arc;

use crate::{
    CategoryStore, EpisodeStore, FactStore, Health, History, KeyStore, LearningQueue, SessionStore,
    SpaceStore, UsageLedger, VectorStore,
};

/// An engine that implements every port on one type.
pub trait Store:
    EpisodeStore
    + History
    + SessionStore
    + SpaceStore
    + VectorStore
    + FactStore
    + CategoryStore
    + LearningQueue
    + UsageLedger
    + KeyStore
    + Health
{
}

/// One engine: a store for each noun. Cheap to clone. A part that needs one noun takes only that field.
///
/// Most engines implement all traits on one type: see [`Engine::of`]. An engine of two databases sets each field to the
/// database that has this noun.
#[derive(Clone)]
pub struct Engine {
    /// Episodes.
    pub episodes: Arc<dyn EpisodeStore>,
    /// The history of each space.
    pub history: Arc<dyn History>,
    /// Sessions and their members.
    pub sessions: Arc<dyn SessionStore>,
    /// Spaces.
    pub spaces: Arc<dyn SpaceStore>,
    /// Embeddings.
    pub vectors: Arc<dyn VectorStore>,
    /// Facts.
    pub facts: Arc<dyn FactStore>,
    /// Categories of facts.
    pub categories: Arc<dyn CategoryStore>,
    /// Messages that wait to be learned from.
    pub learning: Arc<dyn LearningQueue>,
    /// The use of the language model.
    pub usage: Arc<dyn UsageLedger>,
    /// API keys.
    pub keys: Arc<dyn KeyStore>,
    /// Whether its components work.
    pub health: Arc<dyn Health>,
}

impl Engine {
    /// An engine whose every port is this store.
    pub fn of(store: Arc<dyn Store>) -> Self {
        Self {
            episodes: store.clone(),
            history: store.clone(),
            sessions: store.clone(),
            spaces: store.clone(),
            vectors: store.clone(),
            facts: store.clone(),
            categories: store.clone(),
            learning: store.clone(),
            usage: store.clone(),
            keys: store.clone(),
            health: store,
        }
    }
}
