//! The control plane on SQLite: what its store keeps, and that operations survive a crash at any point.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a test fails it")]

mod operations;
mod pruning;
mod reconciling;
mod scripted;
mod signing_in;
mod store;
