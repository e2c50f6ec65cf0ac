//! What a call does with the answers that a service may give.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall say where")]

mod contract;
mod credentials;
mod operations;
mod policies;
mod retries;
mod secrets;
mod service;
