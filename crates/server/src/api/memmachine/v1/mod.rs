//! The wire of `MemMachine`'s v1 API, by the rules of its last version.

mod filter;
pub(crate) mod forget;
pub(crate) mod search;
pub(crate) mod sessions;
mod shape;
pub(crate) mod store;

pub(crate) use shape::{Shapes, V1};
