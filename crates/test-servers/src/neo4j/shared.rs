use std::path::PathBuf;

use anyhow::{Context, Result};
use percent_encoding::percent_decode_str;

use crate::{done, variables};

/// Neo4j's own port.
const PORT: u16 = 7687;

/// The Neo4j that all tests of a run share. Community has one database, so the tests share that as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedNeo4j {
    scheme: String,
    host: String,
    port: u16,
    user: String,
    password: String,
}

impl SharedNeo4j {
    /// The server that [`NEO4J_URI`](crate::NEO4J_URI) names.
    pub fn from_environment() -> Self {
        Self::at(&done(variables::text(variables::NEO4J_URI)))
    }

    /// The server at this URI, with user and password in it.
    pub fn at(uri: &str) -> Self {
        done(Self::read(uri).with_context(|| {
            format!("{} is not like bolt://USER:PASSWORD@HOST:PORT: correct it", variables::NEO4J_URI)
        }))
    }

    fn read(uri: &str) -> Result<Self> {
        let (scheme, rest) = uri.split_once("://").context("there is no scheme")?;
        let (account, address) = rest.rsplit_once('@').context("there is no account")?;
        let (user, password) = account.split_once(':').context("there is no password")?;
        let address = address.trim_end_matches('/');
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().context("the port is not a number")?),
            None => (address, PORT),
        };
        let plain = |text| Ok::<_, anyhow::Error>(percent_decode_str(text).decode_utf8()?.into_owned());
        let (user, password) = (plain(user)?, plain(password)?);
        Ok(Self { scheme: scheme.to_owned(), host: host.to_owned(), port, user, password })
    }

    /// The address as given, without user and password.
    pub fn uri(&self) -> String {
        self.uri_with(&self.scheme)
    }

    /// The address for another scheme, such as `bolt+s`.
    pub fn uri_with(&self, scheme: &str) -> String {
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    /// The host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port of Bolt.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The account.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The authority that signed its certificate, a PEM file, unless the system trusts it already.
    pub fn ca_file(&self) -> Option<PathBuf> {
        std::env::var_os(variables::NEO4J_CA_FILE).map(PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_parsed_into_its_parts() {
        let read = SharedNeo4j::read("bolt://neo4j:p%40ss%3A%2F@localhost:17687").unwrap();
        assert_eq!((read.user(), read.password()), ("neo4j", "p@ss:/"));
        assert_eq!(read.uri_with("neo4j+s"), "neo4j+s://localhost:17687");
        assert_eq!(SharedNeo4j::read("neo4j+s://u:p@db.example/").unwrap().port(), PORT);
        assert!(SharedNeo4j::read("bolt://localhost:7687").is_err());
    }
}
