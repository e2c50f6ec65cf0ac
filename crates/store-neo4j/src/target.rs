use std::path::PathBuf;

use memcloud_store_connection::address::{self, InvalidAddress, Remedy};
use secrecy::SecretString;
use strum::{Display, EnumString};

/// A Neo4j, the account, and how to connect.
#[derive(Clone, Debug)]
pub struct Target {
    /// How the connection is protected, and whether the server learns the address.
    pub scheme: Scheme,
    /// A name or an address; an IPv6 address in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: SecretString,
    /// The authority that signed the server's certificate, instead of those that this machine trusts. Ignored if
    /// certificates are not verified.
    pub authority: Option<PathBuf>,
}

/// The scheme of an address.
///
/// With the `neo4j` schemes the server learns the address, so it may forward requests to another member of its cluster.
/// Otherwise they are the same.
#[derive(Clone, Copy, Debug, Display, EnumString, PartialEq, Eq)]
#[strum(serialize_all = "lowercase")]
pub enum Scheme {
    /// `bolt://`: no TLS.
    Bolt,
    /// `bolt+s://`: TLS, verified.
    #[strum(serialize = "bolt+s")]
    BoltTls,
    /// `bolt+ssc://`: TLS with any certificate.
    #[strum(serialize = "bolt+ssc")]
    BoltAnyTls,
    /// `neo4j://`: no TLS.
    Neo4j,
    /// `neo4j+s://`: TLS, verified.
    #[strum(serialize = "neo4j+s")]
    Neo4jTls,
    /// `neo4j+ssc://`: TLS with any certificate.
    #[strum(serialize = "neo4j+ssc")]
    Neo4jAnyTls,
}

impl Scheme {
    /// Whether certificates are verified.
    pub fn verifies(self) -> bool {
        matches!(self, Self::BoltTls | Self::Neo4jTls)
    }
}

impl Target {
    /// The target of an address such as `neo4j+s://host:7687`. The address may have a user and a password; the separate
    /// ones win.
    pub fn from_uri(
        text: &str,
        user: Option<String>,
        password: Option<SecretString>,
        authority: Option<PathBuf>,
    ) -> Result<Self, InvalidAddress> {
        let form = "write it as bolt://host:7687, with bolt, bolt+s, bolt+ssc, neo4j, neo4j+s or neo4j+ssc for its scheme";
        let bad = |what: String| InvalidAddress::new(what, form);
        let url = address::read(text, form)?;
        let scheme =
            url.scheme().parse().map_err(|_| bad(format!("'{}' is not a scheme of Neo4j", url.scheme())))?;
        let host =
            url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad("it has no host".into()))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it has something after the port".into()));
        }
        let decoded = |text: &str| address::decoded(text, form);
        let inside = Some(decoded(url.username())?).filter(|user| !user.is_empty());
        let password = match (password, url.password()) {
            (Some(password), _) => password,
            (None, Some(inside)) => decoded(inside)?.into(),
            (None, None) => {
                return Err(InvalidAddress::new("there is no password for it", Remedy::Password));
            }
        };
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port: url.port().unwrap_or(7687),
            user: user.or(inside).unwrap_or_else(|| "neo4j".into()),
            password,
            authority,
        })
    }

    /// The address without user and password.
    pub fn place(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }

    /// Whether it is in Neo4j's own cloud.
    pub fn is_aura(&self) -> bool {
        self.host.ends_with(".databases.neo4j.io")
    }
}
