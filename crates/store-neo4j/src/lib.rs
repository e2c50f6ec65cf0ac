//! The Neo4j engine: episodes as a graph, beside records in another engine.
//!
//! `(:Session)-[:BEGINS]->(:Episode)-[:NEXT]->(:Episode)…` is a conversation in the order in which it happened, and
//! `(:Producer)-[:SAID]->(:Episode)` who said it, so Neo4j's own browser shows a memory as what it is. One node and two
//! relationships an episode: Aura Free has room for nearly 200,000.
//!
//! The records decide what exists: they hold the sequence numbers, the vectors and all that ranking reads. What was said
//! and its metadata are in the graph alone. Two databases cannot commit together, so every store is intended in the
//! records first; see [`RecordStore`](memcloud_ports::RecordStore).

mod connect;
mod error;
mod examine;
mod graph;
mod schema;
mod store;
mod sweep;
mod target;
mod turn;

pub use examine::{AURA_FREE, Findings, examine};
pub use schema::IndexState;
pub use store::GraphStore;
pub use target::{Scheme, Target};
