//! The environment variables of a test run.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The folder of PostgreSQL 18 with pgvector: it contains `bin/`, `lib/` and `share/`.
pub const POSTGRES_DIR: &str = "MEMCLOUD_TEST_POSTGRES_DIR";
/// The folder of PostgreSQL 16 with a pgvector too old for half-precision vectors.
pub const POSTGRES_OLD_DIR: &str = "MEMCLOUD_TEST_POSTGRES_OLD_DIR";
/// The folder of a PostgreSQL without pgvector.
pub const POSTGRES_PLAIN_DIR: &str = "MEMCLOUD_TEST_POSTGRES_PLAIN_DIR";
/// The folder of Neo4j's jars.
pub const NEO4J_DIR: &str = "MEMCLOUD_TEST_NEO4J_DIR";
/// The folder of the jars of a Neo4j without vector indexes.
pub const NEO4J_OLD_DIR: &str = "MEMCLOUD_TEST_NEO4J_OLD_DIR";
/// The URL of a PostgreSQL that all tests share, of an account that may create databases.
pub const POSTGRES_URL: &str = "DATABASE_TEST_URL";
/// The URI of a Neo4j that all tests share, with user and password in it.
pub const NEO4J_URI: &str = "NEO4J_TEST_URI";
/// The certificate authority of the shared Neo4j, a PEM file.
pub const NEO4J_CA_FILE: &str = "MEMCLOUD_TEST_NEO4J_CA_FILE";

/// The value of a variable that the tests require.
pub(crate) fn text(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| {
        format!("{name} is not set: run 'cargo xtask test', or 'cargo xtask databases' for its variables")
    })
}

/// The folder that a variable names.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let folder = PathBuf::from(text(name)?);
    if !folder.is_dir() {
        bail!("{name} names {}, which is not a folder: run 'cargo xtask test'", folder.display());
    }
    Ok(folder)
}
