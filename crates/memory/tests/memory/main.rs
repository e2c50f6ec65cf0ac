//! The memory over an engine in RAM: ingest, search, the index, chats and the learner, through the public API.
//!
//! The embedder and the language model are stand-ins whose behavior each test decides. Time is paused, so waiting costs
//! nothing. What needs a socket or a database is tested in `memcloud-server` and in the engines.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed; tests hold their own tasks"
)]

mod chat;
mod index;
mod ingest;
mod learner;
mod scripted_model;
mod search;
mod world;
