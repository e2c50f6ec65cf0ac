//! A service that answers what a test wants, and keeps what it was asked.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use memcloud_google::{AuraKey, Cloud, Config, CredentialSource, Pace, Patience};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// An answer.
pub(crate) enum Answer {
    /// A status and a body.
    Says(u16, Value),
    /// The same, with a header.
    With(u16, (&'static str, &'static str), Value),
    /// The connection ends before the body does.
    Lost,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

#[derive(Clone, Default)]
pub(crate) struct Service {
    shared: Arc<Mutex<Shared>>,
    address: String,
}

#[derive(Default)]
struct Shared {
    answers: VecDeque<Answer>,
    asked: Vec<Asked>,
    tokens: usize,
}

impl Service {
    /// Listens. Answers are given in this order; after the last one, each request is answered with an empty object.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Shared { answers: answers.into_iter().collect(), ..Shared::default() };
        let service = Self { shared: Arc::new(Mutex::new(shared)), address };
        let router = Router::new().fallback(answer).with_state(service.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the runtime of the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        service
    }

    /// A cloud that calls it, with tokens of its own metadata server.
    pub(crate) fn cloud(&self) -> Cloud {
        self.cloud_of(CredentialSource::Metadata(Some(self.address.clone())))
    }

    pub(crate) fn cloud_of(&self, credentials: CredentialSource) -> Cloud {
        let config = Config {
            endpoint: Some(format!("http://{}", self.address).parse().unwrap()),
            credentials,
            quota_project: Some("quota".into()),
            aura: Some(AuraKey { id: "id".into(), secret: "aura-secret".to_owned().into() }),
            pace: Pace::quick(),
        };
        Cloud::new(config).unwrap().with(patience())
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The calls, without those for tokens.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.lock().unwrap().asked.clone()
    }

    /// How many tokens were given out.
    pub(crate) fn tokens(&self) -> usize {
        self.shared.lock().unwrap().tokens
    }
}

pub(crate) fn patience() -> Patience {
    Patience::new(Duration::from_mins(1), CancellationToken::new())
}

pub(crate) fn google_error(code: u16, status: &str, message: &str) -> Answer {
    Answer::Says(code, json!({"error": {"code": code, "status": status, "message": message}}))
}

/// As Compute Engine and Cloud SQL write it.
pub(crate) fn old_error(code: u16, reason: &str, message: &str) -> Answer {
    let errors = json!([{"domain": "global", "reason": reason, "message": message}]);
    Answer::Says(code, json!({"error": {"code": code, "message": message, "errors": errors}}))
}

async fn answer(
    State(service): State<Service>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let mut shared = service.shared.lock().unwrap();
    if uri.path().ends_with("/token") {
        shared.tokens += 1;
        let token = format!("token-{}", shared.tokens);
        let token = json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"});
        return says(200, None, &token);
    }
    let (host, path) = uri.path()[1..].split_once('/').unwrap();
    shared.asked.push(Asked {
        method: method.to_string(),
        host: host.into(),
        path: path.into(),
        query: uri.query().unwrap_or_default().into(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    match shared.answers.pop_front() {
        None => says(200, None, &json!({})),
        Some(Answer::Says(status, body)) => says(status, None, &body),
        Some(Answer::With(status, header, body)) => says(status, Some(header), &body),
        Some(Answer::Lost) => {
            let parts = [Ok(Bytes::from_static(b"{")), Err(io::Error::other("lost"))];
            Response::new(Body::from_stream(futures_util::stream::iter(parts)))
        }
    }
}

fn says(status: u16, header: Option<(&str, &str)>, body: &Value) -> Response<Body> {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    response.body(body.to_string().into()).unwrap()
}
