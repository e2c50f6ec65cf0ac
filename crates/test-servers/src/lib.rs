//! Real databases that a test starts, breaks and stops, proxies to put in front of them, and hostile clients.
//!
//! [`Postgres`] and [`Neo4j`] are servers that belong to one test; [`SharedPostgres`] and [`SharedNeo4j`] are the ones that
//! `cargo xtask test` started for all tests of a run. A [`Proxy`] in front of a server makes the network fail, a
//! [`TlsEnd`] encrypts it. [`Strangers`] do to a server of ours what attackers do. Dropping a handle stops what it started.
//!
//! The calls block and work inside a runtime as well as outside: asynchronous work runs on separate threads. A call
//! that fails panics with the reason; where a test needs the error itself, there is a `try_` variant.
//!
//! Tests that start servers of their own have names that begin with `fault_`: they need the installations that
//! `cargo xtask test` makes, and are skipped when the tests use given databases.

#![expect(clippy::disallowed_methods, reason = "tests read their own environment and hold their own tasks")]
#![expect(clippy::missing_panics_doc, reason = "a test that cannot go on has failed")]

mod background;
mod certificates;
mod log;
pub mod neo4j;
mod patience;
mod ports;
pub mod postgres;
mod process;
mod proxy;
mod secret;
mod strangers;
mod tls;
mod variables;

pub use certificates::Certificates;
pub use neo4j::{Neo4j, SharedNeo4j};
pub use ports::free_port;
pub use postgres::{Database, Postgres, SharedPostgres};
pub use process::{Process, bound_to_this_program};
pub use proxy::{Mode, Proxy};
pub use strangers::{Attack, Strangers};
pub use tls::TlsEnd;
pub use variables::{
    NEO4J_CA_FILE, NEO4J_DIR, NEO4J_OLD_DIR, NEO4J_URI, POSTGRES_DIR, POSTGRES_OLD_DIR, POSTGRES_PLAIN_DIR,
    POSTGRES_URL,
};

/// The result; a failure ends the test.
#[track_caller]
fn done<T>(result: anyhow::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#}"))
}
