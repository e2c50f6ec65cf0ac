//! The real program on the stand-in for Google Cloud and Aura.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod client;
mod service;
