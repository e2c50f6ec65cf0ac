//! The stand-in for a language model, over real HTTP: what it says, what it charges, and how it fails.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod answering;
mod charging;
mod client;
mod embedding;
mod extracting;
mod failing;
mod letting_in;
mod switching;
