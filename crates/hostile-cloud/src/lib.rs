//! A stand-in for Google Cloud and Neo4j Aura, for development and tests.
//!
//! [`HostileCloud`] is one HTTP server on this machine that behaves as the APIs do that a deployment of MemCloud calls.
//! It keeps what it is asked to make, checks every request against the published descriptions of the APIs
//! ([`schemas`]), and misbehaves as the real ones do, by a seed or where a test asks for it ([`Faults`], [`Fault`]).
//! Hostile means no more than that: a correct client always gets through.
//!
//! Where it says yes, something real is there: a PostgreSQL behind each Cloud SQL instance, a Neo4j with TLS behind each
//! Aura instance, and behind a Cloud Run service the program of the container image with the environment, secrets and
//! port that were asked for. A service here has no file system of its own: where a value of its environment contains the
//! path of a mount, such as `/cloudsql`, the folder that stands for the container's root is put in front of it.
//!
//! No account of Google or Neo4j was used to make it. The descriptions are published; the rest is from documentation,
//! from what clients of these APIs expect, and from recorded exchanges.

#![expect(clippy::disallowed_methods, reason = "this is a program of its own, which tests and xtask start")]

mod answer;
mod api;
mod apis;
mod call;
mod clock;
mod cloud;
mod failure;
mod faults;
mod http;
mod operations;
mod options;
mod policy;
mod recorded;
mod request;
pub mod schemas;
mod server;
mod servers;
mod shared;
mod state;
mod tokens;

pub use cloud::HostileCloud;
pub use faults::{Fault, Faults, On};
pub use options::Options;
pub use recorded::Recorded;
pub use schemas::Violation;
pub use tokens::AuraAccount;
