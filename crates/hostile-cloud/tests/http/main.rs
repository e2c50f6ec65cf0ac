//! The stand-in for Google Cloud and Aura, over real HTTP.
#![expect(clippy::disallowed_methods, reason = "tests take the time of this machine")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod admitting;
mod aura;
mod client;
mod compute;
mod describing;
mod failing;
mod sql;
