//! Endpoints: their addresses, keys and requests.

use std::fmt;
use std::time::Duration;

use memcloud_domain::is_loopback;
use memcloud_ports::{EndpointRefusal, ModelError};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use thiserror::Error;
use tokio::time::timeout;
use url::Url;

use crate::key::Key;
use crate::refusal::{Refusals, Requested};
use crate::response::Reading;
use crate::retry_after;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The hosts of Azure's resources, in each of its clouds. Deployments of Azure Machine Learning are an exception: they
/// expect the key in the usual header.
const AZURE: [&str; 3] = [".azure.com", ".azure.us", ".azure.cn"];
const AZURE_WITH_BEARER: &str = ".inference.ml.azure.com";

/// Paths that people copy along with the base address, from examples and from Azure's portal.
const OPERATIONS: [&str; 2] = ["/chat/completions", "/embeddings"];

/// How long to wait for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the head of an answer, and then for each next byte. A model that does not stream sends nothing before it has
    /// finished.
    pub silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), silence: Duration::from_mins(2) }
    }
}

/// Why an endpoint cannot be used. Contains neither the key nor the address, which may hold a key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what}")]
pub struct BadEndpoint {
    /// What is wrong, to be read after the name of the setting.
    pub what: String,
    /// What to do next.
    pub hint: &'static str,
}

impl BadEndpoint {
    fn new(what: impl Into<String>, hint: &'static str) -> Self {
        Self { what: what.into(), hint }
    }
}

/// An endpoint with `OpenAI`'s API. Clones share their connections.
#[derive(Clone)]
pub struct Endpoint {
    http: Client,
    base: Url,
    key: Option<Key>,
    timeouts: Timeouts,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address())
            .field("key", &self.key)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The endpoint whose operations are below this address, such as `https://api.openai.com/v1`,
    /// `http://127.0.0.1:11434/v1` or
    /// `https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT?api-version=2024-10-21`, whose query is sent
    /// with every request. An empty key counts as none.
    ///
    /// A process-wide TLS provider must have been installed.
    pub fn new(address: &str, key: Option<SecretString>, timeouts: Timeouts) -> Result<Self, BadEndpoint> {
        let base = base(address)?;
        let key = match key.map(|key| key.expose_secret().trim().to_owned()).filter(|key| !key.is_empty()) {
            Some(key) => Some(Key::new(key.into(), is_azure(&base)).ok_or_else(|| {
                BadEndpoint::new("the key contains characters that no key has", "copy the key again")
            })?),
            None => None,
        };
        let mut http = Client::builder()
            .user_agent(concat!("memcloud/", env!("CARGO_PKG_VERSION")))
            // The key is for this endpoint only, not for the target of a redirect.
            .redirect(Policy::none())
            .connect_timeout(timeouts.connect)
            // The first words of an answer are small and urgent.
            .tcp_nodelay(true);
        // No proxy is between this machine and itself, and the key stays on it.
        if base.host_str().is_some_and(is_loopback) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| {
            let why = memcloud_domain::with_causes(&error);
            BadEndpoint::new(format!("cannot talk HTTP: {why}"), "check the proxy settings")
        })?;
        Ok(Self { http, base, key, timeouts })
    }

    /// Its address without the query, which may hold a secret.
    pub fn address(&self) -> String {
        let mut shown = self.base.clone();
        shown.set_query(None);
        shown.as_str().trim_end_matches('/').to_owned()
    }

    /// Whether a key is sent.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Whether the key is sent unencrypted to another machine.
    pub fn exposes_key(&self) -> bool {
        self.has_key() && self.base.scheme() == "http" && !self.base.host_str().is_some_and(is_loopback)
    }

    /// Its timeouts.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    pub(crate) async fn get(&self, path: &[&str]) -> Result<Reading, ModelError> {
        self.ask(self.http.get(self.below(path)), Requested::default()).await
    }

    /// Sends this body once. An idempotency key that no header can hold is left out.
    pub(crate) async fn post(
        &self,
        path: &[&str],
        body: &impl Serialize,
        idempotency_key: Option<&str>,
        requested: Requested,
    ) -> Result<Reading, ModelError> {
        let mut request = self.http.post(self.below(path)).json(body);
        if let Some(key) = idempotency_key.and_then(|key| HeaderValue::from_str(key).ok()) {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        self.ask(request, requested).await
    }

    fn below(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn ask(&self, mut request: RequestBuilder, requested: Requested) -> Result<Reading, ModelError> {
        if let Some(key) = &self.key {
            let (name, value) = key.header();
            request = request.header(name, value);
        }
        let silence = self.timeouts.silence;
        let response = match timeout(silence, request.send()).await {
            Err(_) => return Err(ModelError::Silent(silence)),
            // The query of the address may hold a secret.
            Ok(Err(error)) => return Err(ModelError::Unreachable(error.without_url().into())),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        let retry_after = retry_after::asked_in(response.headers());
        let refusals = Refusals { requested, key: self.key.clone() };
        let mut reading = Reading::new(response, silence, refusals);
        if status.is_success() {
            return Ok(reading);
        }
        let content_type = reading.content_type();
        let body = reading.refusal().await;
        let refusal = reading.refusals.of(status.as_u16(), content_type, body);
        Err(ModelError::Refused(EndpointRefusal { retry_after, ..refusal }))
    }
}

fn base(address: &str) -> Result<Url, BadEndpoint> {
    let form = "write it as https://api.openai.com/v1 or http://127.0.0.1:11434/v1";
    let mut base = Url::parse(address.trim())
        .map_err(|error| BadEndpoint::new(format!("it is not an address: {error}"), form))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(BadEndpoint::new("it does not begin with http:// or https://", form));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(BadEndpoint::new("it contains a user or a password", "set the key in its own setting"));
    }
    base.set_fragment(None);
    for operation in OPERATIONS {
        let path = base.path().trim_end_matches('/');
        if let Some(above) = path.strip_suffix(operation) {
            let above = above.to_owned();
            base.set_path(&above);
            break;
        }
    }
    Ok(base)
}

fn is_azure(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let named = AZURE.iter().any(|end| host.ends_with(end)) && !host.ends_with(AZURE_WITH_BEARER);
    named || base.query_pairs().any(|(name, _)| name == "api-version")
}
