//! One exchange over HTTP: a request, and its answer or what became of it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Client, Request, Response};

use crate::retry::{Refusal, Retry};
use crate::{Api, Error, ErrorKind};

/// Why one try failed, and what follows from that.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) retry: Retry,
    /// The wait that the answer asks for.
    pub(crate) asked: Option<Duration>,
}

impl Failure {
    /// Another try would fail as well.
    pub(crate) fn last(error: Error) -> Self {
        Self { error, retry: Retry::Never, asked: None }
    }
}

/// Sends a request, and returns the body of an answer that says yes.
pub(crate) async fn exchange(http: &Client, api: Api, request: Request) -> Result<Bytes, Failure> {
    let answer = http.execute(request).await.map_err(|error| lost(api, error))?;
    let status = answer.status();
    let asked = asked_in(answer.headers());
    let request_id = request_id(&answer);
    let body = answer.bytes().await.map_err(|error| lost(api, error))?;
    if status.is_success() {
        return Ok(body);
    }
    let (error, retry) = Refusal::read(status.as_u16(), &body).meaning(api);
    tracing::debug!(api = api.host(), status = status.as_u16(), request_id, "a call was refused");
    Err(Failure { error, retry, asked })
}

/// No answer arrived. Without a connection the request was not sent either.
fn lost(api: Api, error: reqwest::Error) -> Failure {
    let retry = if error.is_connect() { Retry::Refused } else { Retry::IfIdempotent };
    let error = error.without_url();
    let mut causes = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        causes = format!("{causes}: {error}");
        cause = error.source();
    }
    let message = format!("{api} at {} did not answer: {causes}", api.host());
    let hint = "check the network, proxy and firewall of this machine";
    Failure { error: Error::new(ErrorKind::Unreachable, message, hint), retry, asked: None }
}

fn request_id(answer: &Response) -> Option<String> {
    answer.headers().get("x-request-id")?.to_str().ok().map(str::to_owned)
}

/// The wait that an answer asks for: seconds, or a moment.
#[expect(clippy::disallowed_methods, reason = "another machine's clock made it: only a real one compares")]
fn asked_in(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(after).ok()?;
    let now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    Some(until.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}
