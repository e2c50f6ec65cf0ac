use std::str::FromStr;

use anyhow::{Context, Result};
use tokio_postgres::Config;

use super::sql;
use crate::{done, variables};

/// The PostgreSQL that all tests of a run share: an account that may create databases on some server.
#[derive(Clone, Debug)]
pub struct SharedPostgres {
    url: String,
}

/// An empty database on a shared server, dropped with this handle even if clients are still connected.
#[derive(Debug)]
pub struct Database {
    server: SharedPostgres,
    name: String,
}

impl SharedPostgres {
    /// The server that [`POSTGRES_URL`](crate::POSTGRES_URL) names.
    pub fn from_environment() -> Self {
        Self::at(&done(variables::text(variables::POSTGRES_URL)))
    }

    /// The server at this URL.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// Its URL as given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs SQL in the database that the URL names, and returns its rows as `psql -At` does.
    pub fn execute(&self, sql: &str) -> String {
        done(execute(&self.url, sql))
    }

    /// Creates an empty database.
    pub fn create_database(&self) -> Database {
        let name = new_name();
        done(execute(&self.url, &format!("CREATE DATABASE {name}")));
        Database { server: self.clone(), name }
    }
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, with the account's name and password.
    pub fn url(&self) -> String {
        with_database(&self.server.url, &self.name)
    }

    /// Runs SQL in it, and returns its rows as `psql -At` does: one line each, with `|` between columns.
    pub fn execute(&self, sql: &str) -> String {
        done(execute(&self.url(), sql))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that is gone holds no database to drop.
        let _ = execute(&self.server.url, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn execute(url: &str, sql: &str) -> Result<String> {
    let config = Config::from_str(url).with_context(|| {
        format!("{} is not the URL of a PostgreSQL without TLS: correct it", variables::POSTGRES_URL)
    })?;
    sql::run(&config, sql)?.map_err(|error| {
        anyhow::anyhow!(
            "the database of {} refuses {sql}: {}",
            variables::POSTGRES_URL,
            sql::describe(&error)
        )
    })
}

/// A name that no other test uses.
pub(super) fn new_name() -> String {
    format!("memcloud_test_{:016x}", rand::random::<u64>())
}

/// A URL with another database in it.
fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) =
        url.split_once('?').map_or((url, None), |(address, rest)| (address, Some(rest)));
    let after_scheme = address.find("://").map_or(0, |at| at + "://".len());
    let authority = address[after_scheme..].find('/').map_or(address.len(), |at| after_scheme + at);
    let parameters = parameters.map(|parameters| format!("?{parameters}")).unwrap_or_default();
    format!("{}/{database}{parameters}", &address[..authority])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_is_replaced() {
        for (url, wanted) in [
            ("postgres://u:p%2F@h:5/old?sslmode=disable", "postgres://u:p%2F@h:5/new?sslmode=disable"),
            ("postgres://u@h", "postgres://u@h/new"),
            ("postgresql:///old?host=/tmp/a", "postgresql:///new?host=/tmp/a"),
        ] {
            assert_eq!(with_database(url, "new"), wanted);
        }
    }
}
