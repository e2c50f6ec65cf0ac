//! Real databases for tests, which a test starts, breaks and stops, and what it may put in front of them.
//!
//! [`Postgres`] and [`Neo4j`] are servers of a test's own; [`SharedPostgres`] and [`SharedNeo4j`] are the ones that
//! `cargo xtask test` started for all tests of a run. A [`Proxy`] in front of a server makes the network bad, a
//! [`TlsEnd`] makes it encrypted. Everything ends with its handle.
//!
//! The calls block, and may be made inside a runtime as well as outside: whatever is asynchronous runs on threads of
//! its own. What fails panics with a sentence that says why; where a test wants the failure itself, there is a call
//! that begins with `try_`.
//!
//! Tests that start servers of their own have names that begin with `fault_`: they need the installations that
//! `cargo xtask test` makes, and are left out when somebody tests on databases of their own.

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
mod tls;
mod variables;

pub use certificates::Certificates;
pub use neo4j::{Neo4j, SharedNeo4j};
pub use postgres::{Database, Postgres, SharedPostgres};
pub use proxy::{Mode, Proxy};
pub use tls::TlsEnd;
pub use variables::{
    NEO4J_CA_FILE, NEO4J_DIR, NEO4J_OLD_DIR, NEO4J_URI, POSTGRES_DIR, POSTGRES_OLD_DIR, POSTGRES_PLAIN_DIR,
    POSTGRES_URL,
};

/// What came of it; a failure ends the test.
#[track_caller]
fn done<T>(result: anyhow::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#}"))
}
