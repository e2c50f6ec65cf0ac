//! The traits between the memory and what it stands on: engines, embedders and language models.
//!
//! # Add an engine
//!
//! 1. Make a crate `store-<name>` that depends on this one and on `memcloud-domain`. Implement [`EpisodeStore`],
//!    [`History`], [`SessionStore`], [`VectorStore`], [`FactStore`], [`LearningQueue`], [`UsageLedger`], [`KeyStore`] and
//!    [`Health`], and [`RecordStore`] if it can keep the records of episodes whose content a graph keeps. Each method's
//!    documentation says what durable, repeated, empty and gone mean. How revisions change facts is the same on every
//!    engine: [`RevisionSet::change`].
//! 2. Run `memcloud-store-tests` on it. Ranking needs nothing of an engine: it reads one derived index, which is fed
//!    through [`History`].
//! 3. Let the composition root open it, by settings of its own, and give it a place in `xtask/src/arrows.rs`.
//! 4. If it is a server of its own, name it in `memcloud_domain::Database`, connect through
//!    `memcloud-store-connection`, and let readiness and `doctor` report it.

mod embedder;
mod engine;
mod episodes;
mod facts;
mod health;
mod history;
#[cfg(feature = "testing")]
mod in_memory;
mod keys;
mod knowledge;
mod language_model;
mod learning_queue;
mod records;
mod sessions;
mod unique_id;
mod usage;
mod vectors;

pub use embedder::Embedder;
pub use engine::Engine;
pub use episodes::{
    Appended, Batch, Counts, Cursor, Deletion, EpisodeStore, Idempotency, Prepared, REMEMBERED,
};
pub use facts::{EmbeddedFact, FactStore, FactsOf, NewFact, Revision, RevisionSet};
pub use health::{Check, Health, PROBE_WITHIN, Part};
pub use history::{Change, ChangeKind, History, IndexRow, Sequence};
#[cfg(feature = "testing")]
pub use in_memory::InMemoryEngine;
pub use keys::{AdminRule, KeyStore, Revocation};
pub use knowledge::Changed;
pub use language_model::{
    Call, Completion, Delta, Deltas, LanguageModel, ModelAnswer, ModelError, Refusal, RefusalKind, Tokens,
};
pub use learning_queue::{
    CLAIM_SIZES, ClaimedBatch, FactTarget, LearningQueue, Lease, Outcome, Parked, Queued, Trigger, Waiting,
    assigned,
};
pub use records::{AGAIN_AFTER, ContentLocation, Intent, Orphan, RecordStore};
pub use sessions::{SessionStore, SessionsOf};
pub use unique_id::unique_id;
pub use usage::{Budget, Charge, Span, Usage, UsageLedger};
pub use vectors::VectorStore;
