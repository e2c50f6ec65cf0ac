use std::path::PathBuf;

use memcloud_domain::is_loopback;
use memcloud_store_connection::address::{self, InvalidAddress, Remedy};
use secrecy::SecretString;

/// A database, the account, and how to connect.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where the server is.
    pub host: Host,
    /// The port. For a socket, the number at the end of its name.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// The user's password, with any characters.
    pub password: Option<SecretString>,
    /// How the connection is protected. Ignored for a socket.
    pub tls: Tls,
    /// The most connections at the same time.
    pub pool: usize,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// The folder of its Unix socket, which is named `.s.PGSQL.<port>`.
    Socket(PathBuf),
    /// A name or an address.
    Network(String),
}

/// How the connection to a server is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Without TLS.
    Off,
    /// TLS. The server's certificate must name the host and be signed by this authority, or else by one that the machine
    /// trusts.
    Verified(Option<PathBuf>),
}

/// The longest path of a Unix socket, in bytes: the size of `sun_path`, less the NUL at its end.
const SOCKET_PATH: usize = 107;

impl Tls {
    /// The protection for an `sslmode` and a host. Without a mode: TLS, except to this machine.
    ///
    /// `require` and `verify-ca` mean `verify-full`: encryption without a verified server protects nothing.
    pub fn of_mode(
        mode: Option<&str>,
        host: &str,
        authority: Option<PathBuf>,
    ) -> Result<Self, InvalidAddress> {
        match mode {
            None if authority.is_none() && is_loopback(host) => Ok(Self::Off),
            Some("disable") => Ok(Self::Off),
            None | Some("require" | "verify-ca" | "verify-full") => Ok(Self::Verified(authority)),
            Some(other) => {
                let what = format!("unsupported sslmode '{other}'");
                Err(InvalidAddress::new(what, "use 'verify-full' or 'disable'"))
            }
        }
    }
}

fn check_name(host: &str) -> Result<(), InvalidAddress> {
    if host.contains(['/', ' ', '@']) {
        let what = format!("'{host}' is neither a host nor a directory: a directory begins with a slash");
        return Err(InvalidAddress::new(
            what,
            "name the folder that holds the socket by its whole path, or a host",
        ));
    }
    if host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err() {
        let what = format!("'{host}' is not a valid host: it contains a colon");
        return Err(InvalidAddress::new(what, Remedy::SeparatePort));
    }
    Ok(())
}

/// The address with a host, and whether the host is its own. The parser refuses an account without a host, but the address
/// of a socket has none.
fn with_host(text: &str) -> (String, bool) {
    let Some((scheme, rest)) = text.split_once("://") else { return (text.to_owned(), true) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    if end > 0 && !rest[..end].ends_with('@') {
        return (text.to_owned(), true);
    }
    (format!("{scheme}://{}localhost{}", &rest[..end], &rest[end..]), false)
}

impl Host {
    /// A path is a folder with a socket. Anything else is a name or an address.
    pub fn of(text: &str) -> Self {
        if text.starts_with('/') {
            return Self::Socket(text.into());
        }
        // An IPv6 address is written in brackets where a port may follow.
        Self::Network(text.trim_start_matches('[').trim_end_matches(']').into())
    }
}

impl Target {
    /// The target of an address such as `postgres://user:password@host:5432/database?sslmode=verify-full`, or
    /// `postgres://user:password@/database?host=/cloudsql/project:region:instance`.
    pub fn from_url(text: &str, authority: Option<PathBuf>) -> Result<Self, InvalidAddress> {
        let form = "write it as postgres://user:password@host:5432/database, with special characters as %XX";
        let (whole, names_host) = with_host(text);
        let url = address::read(&whole, form)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(InvalidAddress::new(
                format!("'{}' is not a scheme of PostgreSQL", url.scheme()),
                form,
            ));
        }
        let decoded = |text: &str| address::decoded(text, form);
        let mut host = url.host().filter(|_| names_host).map(|host| host.to_string());
        let (mut port, mut mode) = (url.port(), None);
        for (name, value) in url.query_pairs() {
            match &*name {
                "host" => host = Some(value.into_owned()),
                "port" => {
                    port = Some(
                        value.parse().map_err(|_| InvalidAddress::new("its port is not a number", form))?,
                    );
                }
                "sslmode" => mode = Some(value.into_owned()),
                _ => {
                    let hint = "use 'host', 'port' and 'sslmode' only";
                    return Err(InvalidAddress::new("it has an unsupported parameter", hint));
                }
            }
        }
        let host = host
            .filter(|host| !host.is_empty())
            .ok_or_else(|| InvalidAddress::new("it has no host", form))?;
        let (user, database) = (decoded(url.username())?, decoded(url.path().trim_start_matches('/'))?);
        if user.is_empty() {
            return Err(InvalidAddress::new("it has no user", form));
        }
        Ok(Self {
            tls: Tls::of_mode(mode.as_deref(), &host, authority)?,
            host: Host::of(&decoded(&host)?),
            port: port.unwrap_or(5432),
            database: if database.is_empty() { user.clone() } else { database },
            password: url.password().map(decoded).transpose()?.map(SecretString::from),
            user,
            pool: Self::POOL,
        })
    }

    /// Checks what is known without connecting: that the host is a valid name, or the folder of a socket exists.
    pub fn check(&self) -> Result<(), InvalidAddress> {
        let folder = match &self.host {
            Host::Socket(folder) => folder,
            Host::Network(host) => return check_name(host),
        };
        let (place, bytes) = (self.place(), self.place().len());
        if bytes > SOCKET_PATH {
            return Err(InvalidAddress::new(
                format!(
                    "the path of the socket, {place}, has {bytes} bytes; the system allows {SOCKET_PATH}"
                ),
                "use a shorter folder, or a symbolic link to it",
            ));
        }
        if !folder.is_dir() {
            return Err(InvalidAddress::new(
                format!("{} is not a directory", folder.display()),
                "name the folder that holds the socket .s.PGSQL.<port>, or a host",
            ));
        }
        Ok(())
    }

    /// The default number of connections: five servers fit in a database that allows 25.
    pub const POOL: usize = 4;

    /// The address without user and password.
    pub fn place(&self) -> String {
        match &self.host {
            Host::Socket(folder) => format!("{}/.s.PGSQL.{}", folder.display(), self.port),
            Host::Network(host) => format!("{host}:{}", self.port),
        }
    }
}
