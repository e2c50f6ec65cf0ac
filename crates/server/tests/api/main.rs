//! The instance through its front door: the real router over the real embedded engine.

#![expect(clippy::disallowed_methods, reason = "tests hold their own tasks")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a test fails it")]

mod bad_input;
mod busy;
mod chat;
mod document;
mod erasure;
mod failures;
mod fuzz;
mod heads;
mod idempotency;
mod keys;
mod large_answers;
mod made_keys;
mod observing;
mod openapi;
mod snapshots;
mod sockets;
mod spaces;
mod test_instance;
mod v1_additions;
mod v1_search;
mod v1_sessions;
mod v1_store;
