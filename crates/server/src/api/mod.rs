//! One endpoint a file. `memmachine` and `openai` speak the wires of others; the rest is our own.

mod answer_size;
pub(crate) mod chat;
pub(crate) mod erasure;
pub(crate) mod health;
mod ingest;
pub(crate) mod keys;
pub(crate) mod memmachine;
pub(crate) mod memories;
pub(crate) mod metrics;
pub(crate) mod openai;
pub(crate) mod openapi;
pub(crate) mod profile;
pub(crate) mod responses;
mod session;
pub(crate) mod spaces;
pub(crate) mod usage;
