//! The stand-in for a language model, over real HTTP: its answers, its charges and its faults.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod answering;
mod authorizing;
mod charging;
mod client;
mod embedding;
mod extracting;
mod failing;
mod program;
mod switching;
