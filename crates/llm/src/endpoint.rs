//! Where a model is, and how it is spoken to.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use memcloud_ports::Refusal;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use thiserror::Error;
use tokio::time::timeout;
use url::{Host, Url};

use crate::error::EndpointError;
use crate::key::Key;
use crate::response::Reading;
use crate::retry_after;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Where Azure's resources live, in each of its clouds. Deployments of Azure Machine Learning are the exception: they
/// want the key as everybody else does.
const AZURE: [&str; 3] = [".azure.com", ".azure.us", ".azure.cn"];
const AZURE_WITH_BEARER: &str = ".inference.ml.azure.com";

/// What people copy along with the base of an address, from examples and from Azure's portal.
const OPERATIONS: [&str; 2] = ["/chat/completions", "/embeddings"];

/// How long to wait for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the head of an answer, and then for each next byte. A model that answers in one piece says nothing before it
    /// is done.
    pub silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), silence: Duration::from_mins(2) }
    }
}

/// Why an endpoint cannot be used, and what to do about it. Neither holds the key, nor the address, which may hold one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what}")]
pub struct BadEndpoint {
    /// What is wrong, to be read after the name of the setting.
    pub what: String,
    /// What to do.
    pub mend: &'static str,
}

impl BadEndpoint {
    fn new(what: impl Into<String>, mend: &'static str) -> Self {
        Self { what: what.into(), mend }
    }
}

/// An endpoint of `OpenAI`'s shape. Clones share their connections.
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
    /// An endpoint by the address that its operations stand below, such as `https://api.openai.com/v1`,
    /// `http://127.0.0.1:11434/v1` or
    /// `https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT?api-version=2024-10-21`, whose query goes with
    /// every request. A key without characters is none.
    ///
    /// A process-wide TLS provider must have been installed.
    pub fn new(address: &str, key: Option<SecretString>, timeouts: Timeouts) -> Result<Self, BadEndpoint> {
        let base = base(address)?;
        let key = match key.map(|key| key.expose_secret().trim().to_owned()).filter(|key| !key.is_empty()) {
            Some(key) => Some(Key::new(key.into(), is_azure(&base)).ok_or_else(|| {
                BadEndpoint::new("the key holds characters that no key has", "copy the key again")
            })?),
            None => None,
        };
        let mut http = Client::builder()
            .user_agent(concat!("memcloud/", env!("CARGO_PKG_VERSION")))
            // A key is for this endpoint, not for where it points to.
            .redirect(Policy::none())
            .connect_timeout(timeouts.connect)
            // The first words of an answer are small, and somebody waits for them.
            .tcp_nodelay(true);
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| {
            let why = memcloud_domain::with_causes(&error);
            BadEndpoint::new(format!("cannot talk HTTP: {why}"), "check the proxy settings")
        })?;
        Ok(Self { http, base, key, timeouts })
    }

    /// Its address, fit to be shown: without the query.
    pub fn address(&self) -> String {
        let mut shown = self.base.clone();
        shown.set_query(None);
        shown.as_str().trim_end_matches('/').to_owned()
    }

    /// Whether a key is sent.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Whether the key would travel readable for everybody on the way: over plain HTTP to another machine.
    pub fn exposes_key(&self) -> bool {
        self.has_key() && self.base.scheme() == "http" && !is_loopback(&self.base)
    }

    /// How long it is waited for.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    pub(crate) async fn get(&self, path: &[&str]) -> Result<Reading, EndpointError> {
        self.ask(self.http.get(self.below(path))).await
    }

    /// Sends this body, once. An idempotency key that no header can hold is left out.
    pub(crate) async fn post(
        &self,
        path: &[&str],
        body: &impl Serialize,
        idempotency_key: Option<&str>,
    ) -> Result<Reading, EndpointError> {
        let mut request = self.http.post(self.below(path)).json(body);
        if let Some(key) = idempotency_key.and_then(|key| HeaderValue::from_str(key).ok()) {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        self.ask(request).await
    }

    /// What an endpoint said, as an error in an answer that is none by its status.
    pub(crate) fn failed(&self, status: u16, content_type: Option<String>, body: Bytes) -> EndpointError {
        self.refused(Refusal { status, content_type, body, retry_after: None })
    }

    /// What an endpoint said, without the key.
    pub(crate) fn hide(&self, said: Bytes) -> Bytes {
        match &self.key {
            Some(key) => key.hide(said),
            None => said,
        }
    }

    fn refused(&self, refusal: Refusal) -> EndpointError {
        let kind = refusal.content_type.map(|kind| self.hide(kind.into()));
        EndpointError::Refused(Refusal {
            content_type: kind.map(|kind| String::from_utf8_lossy(&kind).into_owned()),
            body: self.hide(refusal.body),
            ..refusal
        })
    }

    fn below(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn ask(&self, mut request: RequestBuilder) -> Result<Reading, EndpointError> {
        if let Some(key) = &self.key {
            let (name, value) = key.header();
            request = request.header(name, value);
        }
        let silence = self.timeouts.silence;
        let response = match timeout(silence, request.send()).await {
            Err(_) => return Err(EndpointError::Silent(silence)),
            Ok(Err(error)) => return Err(EndpointError::Unreachable(EndpointError::source(error))),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        let retry_after = retry_after::asked_in(response.headers());
        let reading = Reading::new(response, silence);
        if status.is_success() {
            return Ok(reading);
        }
        let content_type = reading.content_type();
        let body = reading.refusal().await;
        Err(self.refused(Refusal { status: status.as_u16(), content_type, body, retry_after }))
    }
}

fn base(address: &str) -> Result<Url, BadEndpoint> {
    let form = "write it as https://api.openai.com/v1 or http://127.0.0.1:11434/v1";
    let mut base = Url::parse(address.trim())
        .map_err(|error| BadEndpoint::new(format!("it is no address: {error}"), form))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(BadEndpoint::new("it does not begin with http:// or https://", form));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(BadEndpoint::new("it holds a user or a password", "give the key in its own setting"));
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

/// Whether it is this machine, where no proxy belongs in between and nobody listens.
fn is_loopback(base: &Url) -> bool {
    match base.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}
