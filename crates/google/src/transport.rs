//! One call: sent, answered, and sent again where that is right.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::exchange::{Failure, exchange};
use crate::retry::Retry;
use crate::{Api, Cloud, Error, ErrorKind};

/// How long the last try may take that begins before the caller's time is over: a try that is cut off says nothing.
const LAST_TRY: Duration = Duration::from_secs(5);

/// A request to an API.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) api: Api,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Result<Value, String>>,
    once: bool,
    hidden: Vec<SecretString>,
}

impl Call {
    pub(crate) fn new(api: Api, method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        Self { api, method, path, query: Vec::new(), body: None, once: false, hidden: Vec::new() }
    }

    pub(crate) fn get(api: Api, path: impl Into<String>) -> Self {
        Self::new(api, Method::GET, path)
    }

    pub(crate) fn post(api: Api, path: impl Into<String>) -> Self {
        Self::new(api, Method::POST, path)
    }

    pub(crate) fn patch(api: Api, path: impl Into<String>) -> Self {
        Self::new(api, Method::PATCH, path)
    }

    pub(crate) fn delete(api: Api, path: impl Into<String>) -> Self {
        Self::new(api, Method::DELETE, path)
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Serialize) -> Self {
        self.body = Some(serde_json::to_value(body).map_err(|error| error.to_string()));
        self
    }

    /// Sent twice, it would have its effect twice. It is sent again only if the service refused it.
    pub(crate) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// What no error may show, though the service may repeat it.
    pub(crate) fn hiding(mut self, secret: &SecretString) -> Self {
        self.hidden.push(secret.clone());
        self
    }

    fn hide(&self, mut text: String) -> String {
        for secret in self.hidden.iter().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty())
        {
            text = text.replace(secret, "[hidden]").replace(&BASE64.encode(secret.as_bytes()), "[hidden]");
        }
        text
    }

    /// Whether a failure may be repeated after its effect came.
    fn is_idempotent(&self) -> bool {
        !self.once
    }
}

impl Cloud {
    /// Sends it, again where that is right, until it is answered or the patience ends.
    pub(crate) async fn send<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let body = self.answer(&call).await?;
        // Some calls answer with an empty body instead of an empty object.
        let body: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { &body };
        serde_json::from_slice(body).map_err(|error| Error::unreadable(call.api, error))
    }

    /// All entries of a list, of all its pages.
    pub(crate) async fn list<T: DeserializeOwned>(&self, call: Call, entries: &str) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        let mut page = call.clone();
        loop {
            let mut answer: Value = self.send(page).await?;
            if let Value::Array(found) = answer[entries].take() {
                for entry in found {
                    let entry = serde_json::from_value(entry);
                    all.push(entry.map_err(|error| Error::unreadable(call.api, error))?);
                }
            }
            match answer["nextPageToken"].as_str() {
                Some(token) if !token.is_empty() => page = call.clone().query("pageToken", token),
                _ => return Ok(all),
            }
        }
    }

    async fn answer(&self, call: &Call) -> Result<Bytes, Error> {
        let patience = self.patience();
        let mut pauses = self.pauses();
        if patience.left().is_zero() {
            return Err(Error::timed_out(call.api));
        }
        let mut renewed = false;
        loop {
            if patience.is_cancelled() {
                return Err(Error::cancelled());
            }
            let Failure { error, retry, asked } = match self.attempt(call).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            if expired(call.api, &error) && !renewed {
                renewed = true;
                self.renew(call.api).await;
                continue;
            }
            let again = match retry {
                Retry::Never => false,
                Retry::Refused => true,
                Retry::IfIdempotent => call.is_idempotent(),
                // A caller that reads asks whether something is there: that it is not is an answer.
                Retry::WhileSettling if call.method == Method::GET && error.is_not_found() => false,
                Retry::WhileSettling => pauses.may_settle(),
            };
            if !again {
                return Err(outcome(call, error, retry));
            }
            tracing::debug!(api = call.api.host(), error = error.message, "sending a call again");
            pauses
                .next(asked.unwrap_or_default().min(self.pace().asked), outcome(call, error, retry))
                .await?;
        }
    }

    async fn renew(&self, api: Api) {
        match (api, &self.shared.aura) {
            (Api::Aura, Some(tokens)) => tokens.forget().await,
            _ => self.shared.credentials.forget().await,
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Bytes, Failure> {
        let patience = self.patience();
        let headers = self.authorization(call.api).await?;
        let request = self.request(call, headers).map_err(Failure::last)?;
        if call.method == Method::GET {
            let answered = patience.unless_cancelled(self.exchange(call, request)).await;
            return answered.unwrap_or_else(|| Err(Failure::last(Error::cancelled())));
        }
        // A change that is cut off is a change that may have been made: its answer is awaited.
        self.exchange(call, request).await
    }

    fn request(&self, call: &Call, headers: HeaderMap) -> Result<reqwest::Request, Error> {
        let url = self.url(call.api, &call.path)?;
        let mut request = self.shared.http.request(call.method.clone(), url).headers(headers);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        request = match &call.body {
            Some(Ok(body)) => request.json(body),
            Some(Err(problem)) => return Err(Error::invalid(problem, "report it with this message")),
            // Google refuses a POST without a length.
            None if call.method == Method::POST => request.body(""),
            None => request,
        };
        let left = if call.once { self.pace().attempt } else { self.patience().left() };
        let limit = self.pace().attempt.min(left.max(LAST_TRY));
        request.timeout(limit).build().map_err(|error| Error::invalid(error.to_string(), "report it"))
    }

    /// The address of a path, wherever the API is.
    pub(crate) fn url(&self, api: Api, path: &str) -> Result<url::Url, Error> {
        // The segments were escaped one by one; these two would still lead out of their place.
        if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(Error::invalid(
                "a name is empty or consists of dots",
                "check project, region and names",
            ));
        }
        let base = match &self.shared.endpoint {
            Some(base) => format!("{}/{}/{path}", base.as_str().trim_end_matches('/'), api.host()),
            None => format!("https://{}/{path}", api.host()),
        };
        base.parse()
            .map_err(|_| Error::invalid("an address cannot be formed", "check project, region and names"))
    }

    async fn exchange(&self, call: &Call, request: reqwest::Request) -> Result<Bytes, Failure> {
        let answer = exchange(&self.shared.http, call.api, request).await;
        answer.map_err(|mut failure| {
            failure.error.message = call.hide(failure.error.message);
            failure
        })
    }

    async fn authorization(&self, api: Api) -> Result<HeaderMap, Failure> {
        match (api, &self.shared.aura) {
            (Api::Aura, Some(tokens)) => {
                let url = self.url(Api::Aura, "oauth/token").map_err(Failure::last)?;
                let bearer = tokens.bearer(&self.shared.http, url, self.pace().attempt).await?;
                Ok(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
            }
            _ => self.shared.credentials.headers().await.map_err(Failure::last),
        }
    }
}

/// Whether another token may help. Aura refuses an expired one as it refuses a missing right.
fn expired(api: Api, error: &Error) -> bool {
    match error.kind {
        ErrorKind::Unauthenticated => true,
        ErrorKind::Forbidden { .. } => api == Api::Aura,
        _ => false,
    }
}

/// The error that the caller gets: of a request that must not be sent twice, whether it may have had its effect.
fn outcome(call: &Call, error: Error, retry: Retry) -> Error {
    if call.once && retry == Retry::IfIdempotent {
        let message = format!("the answer of {} was lost: {}", call.api, error.message);
        let hint = "the request may have had its effect: check what is there before sending it again";
        return Error::new(ErrorKind::UnknownOutcome, message, hint);
    }
    error
}
