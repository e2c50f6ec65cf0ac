//! The way in: one [`Cloud`], and a client per API.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::aura_token::Tokens;
use crate::credentials::Credentials;
use crate::patience::Pauses;
use crate::{AuraKey, CredentialSource, Error, ErrorKind, Pace, Patience};

/// How long a call may take that was given no [`Patience`].
const USUAL_PATIENCE: Duration = Duration::from_mins(2);

/// Where and as whom to call.
#[derive(Clone, Debug)]
pub struct Config {
    /// `None` for Google and Neo4j; otherwise all APIs are at `{endpoint}/{host}/{path}`.
    pub endpoint: Option<Url>,
    /// Who calls Google.
    pub credentials: CredentialSource,
    /// The project that calls of a user count against.
    pub quota_project: Option<String>,
    /// Who calls Neo4j Aura.
    pub aura: Option<AuraKey>,
    /// The waits between tries.
    pub pace: Pace,
}

/// Google Cloud and Neo4j Aura. A clone shares connections, credentials and patience.
#[derive(Clone, Debug)]
pub struct Cloud {
    pub(crate) shared: Arc<Shared>,
    patience: Option<Patience>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) http: reqwest::Client,
    pub(crate) endpoint: Option<Url>,
    pub(crate) credentials: Credentials,
    pub(crate) aura: Option<Tokens>,
    pub(crate) pace: Pace,
    /// Policies are read, changed and written one after the other: two of our own changes must not collide.
    pub(crate) policies: Mutex<()>,
}

impl Cloud {
    /// Connects to nothing yet.
    pub fn new(config: Config) -> Result<Self, Error> {
        if let Some(endpoint) = &config.endpoint {
            check_endpoint(endpoint)?;
        }
        // Google never redirects an API call, and a redirect would carry the token elsewhere.
        let http = reqwest::Client::builder()
            .user_agent(concat!("memcloud/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| {
                let message = format!("cannot prepare TLS: {error}");
                Error::new(ErrorKind::Unreachable, message, "check the certificates of this machine")
            })?;
        let shared = Shared {
            http,
            endpoint: config.endpoint,
            credentials: Credentials::new(config.credentials, config.quota_project),
            aura: config.aura.map(Tokens::new),
            pace: config.pace,
            policies: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared), patience: None })
    }

    /// The same, with calls and waits that obey this patience.
    #[must_use]
    pub fn with(&self, patience: Patience) -> Self {
        Self { shared: Arc::clone(&self.shared), patience: Some(patience) }
    }

    pub(crate) fn patience(&self) -> Patience {
        let usual = || Patience::new(USUAL_PATIENCE, CancellationToken::new());
        self.patience.clone().unwrap_or_else(usual)
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.shared.pace
    }

    pub(crate) fn pauses(&self) -> Pauses {
        Pauses::new(self.patience(), self.pace())
    }

    /// Gets a token of Google.
    pub async fn check_credentials(&self) -> Result<(), Error> {
        self.shared.credentials.headers().await.map(drop)
    }

    /// A token of Google, for the API server of a cluster. It lives for about an hour: do not keep it.
    pub async fn bearer(&self) -> Result<SecretString, Error> {
        self.shared.credentials.token().await
    }
}

/// Tokens are sent there: only over TLS, or to this machine.
fn check_endpoint(endpoint: &Url) -> Result<(), Error> {
    let is_local = match endpoint.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match endpoint.scheme() {
        "https" => Ok(()),
        "http" if is_local => Ok(()),
        _ => Err(Error::invalid(
            "the endpoint for Google Cloud is neither https nor on this machine",
            "give an https address, or http://127.0.0.1 with a port",
        )),
    }
}
