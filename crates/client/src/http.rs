use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use memcloud_domain::{is_loopback, shown_address};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Refusal, ServerKind};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_mins(2);
/// The same for a console, which answers at once and does the work later.
const CONSOLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The time limit of a whole streamed answer.
pub(crate) const STREAM_TIMEOUT: Duration = Duration::from_hours(1);
/// What is encoded in a part of a path: all but the characters that RFC 3986 calls unreserved.
const NOT_IN_A_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// One server to talk to over HTTP. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    server: ServerKind,
    url: Url,
    shown: String,
    key: Option<SecretString>,
    attempts: usize,
}

impl Http {
    pub(crate) fn new(server: ServerKind, url: &str, key: Option<SecretString>) -> Result<Self, Error> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = parsed
            .filter(Url::has_host)
            .ok_or_else(|| Error::InvalidUrl { server, given: shown_address(url) })?;
        let timeout = if server == ServerKind::Console { CONSOLE_TIMEOUT } else { TIMEOUT };
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(timeout);
        // No proxy is between this machine and itself.
        if url.host_str().is_some_and(is_loopback) {
            builder = builder.no_proxy();
        }
        let shown = shown_address(url.as_str().trim_end_matches('/'));
        Ok(Self { client: builder.build().map_err(Error::Setup)?, server, url, shown, key, attempts: 1 })
    }

    pub(crate) fn retrying(self, attempts: usize) -> Self {
        Self { attempts: attempts.max(1), ..self }
    }

    pub(crate) fn url(&self) -> &str {
        &self.shown
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.url.clone();
        let mut full = url.path().trim_end_matches('/').to_owned();
        // `Url` would drop line ends and tabs, and so mean another name. It takes dots for folders, even encoded ones.
        for part in path.iter().filter(|part| !matches!(**part, "." | "..")) {
            full.push('/');
            full.extend(utf8_percent_encode(part, NOT_IN_A_NAME));
        }
        url.set_path(&full);
        let request = self.client.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> Result<T, Error> {
        self.repeated(|| self.request(Method::GET, path).query(query)).await
    }

    /// Sends a request again, with pauses, while the server cannot be reached.
    pub(crate) async fn repeated<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, Error> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_factor(3.0)
            .with_max_times(self.attempts - 1);
        (|| self.send(request())).retry(pauses).sleep(tokio::time::sleep).when(Error::is_unreachable).await
    }

    pub(crate) async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let body = self.answer(request).await?.bytes().await.map_err(|error| self.unreachable(error))?;
        // An operation without a result answers nothing.
        let body = if body.is_empty() { &b"null"[..] } else { &body };
        serde_json::from_slice(body).map_err(|source| Error::UnknownAnswer {
            server: self.server,
            url: self.url().to_owned(),
            source,
        })
    }

    /// The answer to a request that was accepted, with its body still to come.
    pub(crate) async fn answer(&self, request: RequestBuilder) -> Result<Response, Error> {
        let answer = request.send().await.map_err(|error| self.unreachable(error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let request_id = answer.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        let request_id = request_id.map(str::to_owned);
        let body = answer.bytes().await.map_err(|error| self.unreachable(error))?;
        Err(Error::Refused(Box::new(Refusal::read(self.server, status, request_id, &body))))
    }

    pub(crate) fn unreachable(&self, source: reqwest::Error) -> Error {
        Error::Unreachable { server: self.server, url: self.url().to_owned(), source: source.without_url() }
    }
}
