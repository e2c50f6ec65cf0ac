//! The control plane on SQLite: what its store keeps, and that operations survive a crash at any point.

mod operations;
mod scripted;
mod store;
