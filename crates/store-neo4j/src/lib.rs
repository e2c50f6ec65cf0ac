//! The Neo4j engine: episodes as a graph, with records in another engine.
//!
//! `(:Session)-[:BEGINS]->(:Episode)-[:NEXT]->(:Episode)…` is a conversation in order, and
//! `(:Producer)-[:SAID]->(:Episode)` names who said it, so Neo4j's own browser shows conversations as paths. An episode is
//! one node and two relationships: Aura Free has room for nearly 200,000.
//!
//! The records decide what exists: they have the sequence numbers, the vectors and everything that ranking reads. Content
//! and metadata are in the graph alone. Two databases cannot commit together, so every store records an intent first; see
//! [`RecordStore`](memcloud_ports::RecordStore).

mod connect;
mod error;
mod examine;
mod graph;
mod node;
mod schema;
mod shared;
mod store;
mod sweep;
mod target;

pub use examine::{AURA_FREE, Findings, examine, reach};
pub use schema::IndexState;
pub use store::GraphStore;
pub use target::{Scheme, Target};
