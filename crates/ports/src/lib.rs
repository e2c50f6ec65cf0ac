//! The traits between the memory and what it uses: engines, embedders and language models.
//!
//! # Add an engine
//!
//! 1. Make a crate `store-<name>` that depends on this one and on `memcloud-domain`. Implement the traits of [`Store`]; and
//!    [`RecordStore`] if the engine can keep the records of episodes whose content is in a graph. The documentation of each
//!    method says what durable, repeated, empty and gone mean. `InMemoryEngine` (feature "testing") is the shortest engine to
//!    read. The engine takes an `Arc<dyn Clock>` when it is opened, and gets revised facts from [`RevisionSet::change`].
//! 2. Run `memcloud-store-tests` on it, with the oracle. Ranking needs nothing of an engine: it reads one derived index,
//!    which it updates from [`History`].
//! 3. Open it in `instance/src/engines.rs`, configured by a struct in `instance/src/config.rs` that
//!    `memcloud/src/settings` fills; and allow its arrows in `xtask/src/check/arrows.rs`.
//! 4. If it is a server of its own: add it to `memcloud_domain::Database`, connect through `memcloud-store-connection`,
//!    report it in `server/src/api/ready.rs` and in `memcloud/src/commands/doctor/databases.rs`, and let
//!    `cargo xtask databases` start one.

mod categories;
mod damage;
mod embedder;
mod engine;
mod episodes;
mod facts;
mod health;
mod history;
#[cfg(feature = "testing")]
mod in_memory;
mod intent;
mod keys;
mod knowledge;
mod language_model;
mod learning_queue;
mod reads;
mod records;
mod sessions;
mod spaces;
mod unique_id;
mod usage;
mod vectors;

pub use categories::{CategoryStore, SetCategory, version_after};
pub use damage::{Damage, DamagedRow};
pub use embedder::Embedder;
pub use engine::{Engine, Store};
pub use episodes::{
    Appended, Batch, Counts, Cursor, DAY, DELETED_AT_ONCE, EpisodeStore, EpisodesOf, Idempotency, Prepared,
    REMEMBERED_DAYS, Selected, delete_all,
};
pub use facts::{EmbeddedFact, FactChanges, FactSets, FactStore, FactsOf, NewFact, Revision, RevisionSet};
pub use health::{Component, Health, HealthCheck, PROBE_WITHIN};
pub use history::{
    Change, ChangeKind, History, IndexRow, LIFE_BITS, Position, REMOVALS_KEPT, Sequence, life, pruned_up_to,
};
#[cfg(feature = "testing")]
pub use in_memory::InMemoryEngine;
pub use intent::Intent;
pub use keys::{AdminRule, KeyStore, Keys, Revocation};
pub use knowledge::Changed;
pub use language_model::{
    Call, Completion, Delta, Deltas, EndpointRefusal, LanguageModel, ModelAnswer, ModelError, RefusalKind,
    Tokens,
};
pub use learning_queue::{
    CLAIM_SIZES, ClaimedBatch, LearningQueue, Lease, Outcome, Parked, Queued, Trigger, Waiting, assigned,
};
pub use reads::{Gathered, Parts, READ_BYTES, read_all};
pub use records::{AGAIN_AFTER, ContentLocation, Orphan, RecordStore};
pub use sessions::{
    LISTED_MEMBERS, REMOVED_AT_ONCE, SessionCursor, SessionPage, SessionRows, SessionStore, SessionsOf,
};
pub use spaces::SpaceStore;
pub use unique_id::unique_id;
pub use usage::{Budget, Charge, Span, Usage, UsageLedger};
pub use vectors::VectorStore;
