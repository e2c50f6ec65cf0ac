//! Talking to an instance over HTTP.

use std::net::IpAddr;
use std::time::Duration;

use memcloud_domain::with_causes;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::current_instance::Current;
use crate::failure::{Exit, Failure};
use crate::settings::{API_KEY, ClientFlags, Sources, URL};

const DEFAULT_URL: &str = "http://127.0.0.1:8080";
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_mins(2);
/// How long an answer may take that comes in pieces.
const STREAM_WITHIN: Duration = Duration::from_hours(1);

/// One instance to talk to.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    key: Option<SecretString>,
    /// Whether somebody said which instance it is; otherwise it is the usual address.
    pub(crate) named: bool,
}

impl Client {
    /// The instance that the flags, the settings or `up` name.
    pub(crate) fn new(sources: &Sources, flags: &ClientFlags) -> Result<Self, Failure> {
        let given =
            sources.text(&URL, flags.url.as_deref()).or_else(|| Current::read().map(|current| current.url));
        let key = sources.secret(&API_KEY, flags.key.as_deref())?;
        let url = given.as_deref().unwrap_or(DEFAULT_URL);
        Ok(Self { named: given.is_some(), ..Self::at(url, key)? })
    }

    /// The instance at this address.
    pub(crate) fn at(url: &str, key: Option<SecretString>) -> Result<Self, Failure> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = parsed.filter(Url::has_host) else {
            return Err(Failure::usage(
                format!("'{url}' is not the address of an instance"),
                "give a URL such as http://127.0.0.1:8080",
            ));
        };
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_WITHIN).timeout(ANSWER_WITHIN);
        if on_this_machine(&url) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| {
            Failure::new(format!("cannot talk HTTP: {}", with_causes(&error)), "check the proxy settings")
        })?;
        Ok(Self { http, url, key, named: true })
    }

    /// Its address, as people write it.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Whether a key is shown to it.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.send(self.request(Method::GET, path).query(query)).await
    }

    /// Sends.
    pub(crate) async fn post(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, Failure> {
        self.send(self.request(Method::POST, path).query(query).json(body)).await
    }

    /// Sends, and answers as soon as the head of the answer is there.
    pub(crate) async fn stream(&self, path: &[&str], body: &Value) -> Result<Response, Failure> {
        let request = self.request(Method::POST, path).json(body).timeout(STREAM_WITHIN);
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        Err(self.refused(status, &body))
    }

    /// Sends something that may be sent twice under this key and has its effect once.
    pub(crate) async fn post_once(&self, path: &[&str], key: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    }

    /// Deletes.
    pub(crate) async fn delete(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let request = self.request(Method::DELETE, path).query(query);
        self.send(if let Some(body) = body { request.json(body) } else { request }).await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self.http.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| {
            Failure::new(
                format!("{} answered with something that is not JSON", self.url()),
                "check that the address is that of a memory instance",
            )
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut why = String::new();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            why = inner.to_string();
            cause = inner.source();
        }
        if error.is_timeout() {
            why = "it did not answer in time".into();
        }
        Failure::new(
            format!("the server at {} could not be reached: {why}", self.url()),
            "start one with 'memcloud up', or name another with --url",
        )
        .ending(Exit::Unreachable)
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut said = detail(&body["detail"]).unwrap_or_else(|| status.to_string());
        if body["stored"]["user_message"].is_string() {
            said.push_str("; what you said is stored");
        }
        let hint = body["hint"].as_str().unwrap_or("'memcloud doctor' tries every part of the instance");
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::new(
                format!("{} did not accept the key: {said}", self.url()),
                if body["code"].as_str().is_some_and(|code| code != "unauthorized") {
                    hint
                } else if self.has_key() {
                    "give the key that 'memcloud up' printed, or one of MEMCLOUD_API_KEYS of the server"
                } else {
                    "give a key with --key, MEMCLOUD_API_KEY or MEMCLOUD_API_KEY_FILE"
                },
            )
            .ending(Exit::KeyRefused),
            StatusCode::NOT_FOUND => Failure::new(said, hint).ending(Exit::Nothing),
            _ => Failure::new(said, hint),
        }
    }
}

/// What a refusal says: a text, or a list of the fields that are wrong.
fn detail(detail: &Value) -> Option<String> {
    let field = |item: &Value| {
        let place: Vec<String> = item["loc"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
            .collect();
        format!("{}: {}", place.join("."), item["msg"].as_str().unwrap_or("wrong"))
    };
    match detail {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().map(field).collect::<Vec<_>>().join("; ")),
        _ => None,
    }
}

/// Whether the address is this machine's own, where no proxy belongs in between.
fn on_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
