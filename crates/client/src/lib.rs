//! A typed client for the API of a memory instance: one method for each operation, over the types of `memcloud-api`.
//!
//! A store always carries an `Idempotency-Key`, so it can be sent again when its answer is lost: it is stored once.
//! [`Client::retrying`] turns that on, for stores and reads. Errors keep what the server said: status, code, detail, hint
//! and request id. The caller installs the process's default provider of `rustls`.

mod chat;
mod error;
mod facts;
mod keys;
mod memories;
mod operations;
mod sessions;
mod spaces;

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use memcloud_domain::{is_loopback, shown_address};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use chat::{ChatEvent, ChatStream};
pub use error::{Error, Refusal};
pub use facts::FactQuery;
pub use memories::ListQuery;
pub use sessions::{SessionsOf, SessionsQuery};
pub use spaces::SpacesQuery;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_mins(2);
/// The time limit of a whole streamed answer.
const STREAM_TIMEOUT: Duration = Duration::from_hours(1);
/// What is encoded in a part of a path: all but the characters that RFC 3986 calls unreserved.
const NOT_IN_A_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// One instance to talk to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    shown: String,
    key: Option<SecretString>,
    attempts: usize,
}

impl Client {
    /// The instance at this address, called with this key.
    pub fn new(url: &str, key: Option<SecretString>) -> Result<Self, Error> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url =
            parsed.filter(Url::has_host).ok_or_else(|| Error::InvalidUrl { given: shown_address(url) })?;
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT);
        // No proxy is between this machine and itself.
        if url.host_str().is_some_and(is_loopback) {
            builder = builder.no_proxy();
        }
        let shown = shown_address(url.as_str().trim_end_matches('/'));
        Ok(Self { http: builder.build().map_err(Error::Setup)?, url, shown, key, attempts: 1 })
    }

    /// The same client, which tries up to `attempts` times when the server cannot be reached.
    #[must_use]
    pub fn retrying(self, attempts: usize) -> Self {
        Self { attempts: attempts.max(1), ..self }
    }

    /// The address of the instance, without a user, a password and a query in it, and without a slash at its end.
    pub fn url(&self) -> &str {
        &self.shown
    }

    /// Whether it sends a key.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.url.clone();
        let mut full = url.path().trim_end_matches('/').to_owned();
        // `Url` would drop line ends and tabs, and so mean another name. It takes dots for folders, even encoded ones.
        for part in path.iter().filter(|part| !matches!(**part, "." | "..")) {
            full.push('/');
            full.extend(utf8_percent_encode(part, NOT_IN_A_NAME));
        }
        url.set_path(&full);
        let request = self.http.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &impl Serialize) -> Result<T, Error> {
        self.repeated(|| self.request(Method::GET, path).query(query)).await
    }

    /// Sends a request again, with pauses, while the server cannot be reached.
    async fn repeated<T: DeserializeOwned>(&self, request: impl Fn() -> RequestBuilder) -> Result<T, Error> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_factor(3.0)
            .with_max_times(self.attempts - 1);
        (|| self.send(request())).retry(pauses).sleep(tokio::time::sleep).when(Error::is_unreachable).await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let body = self.answer(request).await?.bytes().await.map_err(|error| self.unreachable(error))?;
        // An operation without a result answers nothing.
        let body = if body.is_empty() { &b"null"[..] } else { &body };
        serde_json::from_slice(body)
            .map_err(|source| Error::UnknownAnswer { url: self.url().to_owned(), source })
    }

    /// The answer to a request that was accepted, with its body still to come.
    async fn answer(&self, request: RequestBuilder) -> Result<Response, Error> {
        let answer = request.send().await.map_err(|error| self.unreachable(error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let request_id = answer.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        let request_id = request_id.map(str::to_owned);
        let body = answer.bytes().await.map_err(|error| self.unreachable(error))?;
        Err(Error::Refused(Box::new(Refusal::read(status, request_id, &body))))
    }

    fn unreachable(&self, source: reqwest::Error) -> Error {
        Error::Unreachable { url: self.url().to_owned(), source: source.without_url() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_password_are_not_shown() {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::new("http://ann:pa@ss@localhost:1/base/", None).unwrap();
        assert_eq!(client.url(), "http://localhost:1/base");
        let error = Client::new("ftp://ann:secret@there/x@y", None).unwrap_err();
        assert_eq!(error.to_string(), "'ftp://there/x@y' is not the address of an instance");
    }

    #[test]
    fn addresses_without_scheme_or_host_are_refused() {
        for url in ["localhost:8080", "ftp://x", "http://", "x"] {
            assert!(matches!(Client::new(url, None), Err(Error::InvalidUrl { .. })), "{url}");
        }
    }
}
