//! A whole instance in a directory of its own, called as clients call it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use memcloud_domain::Error;
use memcloud_instance::{Assembly, Config, Parts};
use memcloud_ports::Embedder;
use memcloud_server::{ApiKeys, App, Settings, router};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::document;

pub(crate) struct Instance {
    pub(crate) router: Router,
    _directory: TempDir,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The body of an answer that must be a success.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }

    /// The code of an answer that must be a well-formed error with this status. The document says which routes have OpenAI's
    /// shape.
    pub(crate) fn code(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        let body = self.json();
        if body.get("error").is_some() {
            return self.openai_code();
        }
        assert!(!body["hint"].as_str().unwrap().is_empty(), "{body}");
        if status == 422 {
            let problem = &body["detail"][0];
            assert!(
                problem["type"].is_string() && problem["loc"].is_array() && problem["msg"].is_string(),
                "{body}"
            );
            assert!(problem.get("input").is_some(), "{body}");
        } else {
            assert!(body["detail"].is_string(), "{body}");
        }
        body["code"].as_str().unwrap().to_owned()
    }

    /// The code of an answer that must be an error as OpenAI's clients read it.
    pub(crate) fn openai_code(&self) -> String {
        let body = self.json();
        let error = &body["error"];
        let kind = if self.status == 401 { "authentication_error" } else { "invalid_request_error" };
        assert_eq!(
            error["type"],
            if self.status.is_server_error() { "server_error" } else { kind },
            "{body}"
        );
        assert!(!error["message"].as_str().expect("a message").is_empty(), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        error["code"].as_str().expect("a code").to_owned()
    }
}

pub(crate) async fn app(
    directory: &Path,
    keys: ApiKeys,
    settings: Settings,
    embedder: Option<Arc<dyn Embedder>>,
) -> App {
    let config = Config { keys, server: settings, ..Config::in_directory(directory) };
    let engine = config.engines.open(directory).await.unwrap();
    Assembly::of(Parts { embedder, ..Parts::of(engine) }, &config).await.unwrap().app
}

impl Instance {
    /// One without keys and without a model.
    pub(crate) async fn open() -> Self {
        Self::with(ApiKeys::none(), Settings::default(), None).await
    }

    pub(crate) async fn with(keys: ApiKeys, settings: Settings, embedder: Option<Arc<dyn Embedder>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let app = app(directory.path(), keys, settings, embedder).await;
        Self { router: router(app), _directory: directory }
    }

    /// One over this directory.
    pub(crate) fn of(router: Router, directory: TempDir) -> Self {
        Self { router, _directory: directory }
    }

    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Sends a request. The answer must be one that the OpenAPI document describes.
    pub(crate) async fn call(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let answer = Answer { status: parts.status, headers: parts.headers, text };
        document::check(&method, &path, (answer.status, &answer.headers, &answer.text));
        answer
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.call(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Body::empty()).await
    }

    /// Everything that can be read of the instance's data, to show that nothing changed.
    pub(crate) async fn everything(&self) -> Value {
        let sessions = self.get("/v1/sessions").await.ok();
        let mut groups = vec![];
        for session in sessions["sessions"].as_array().unwrap() {
            let group = session["group_id"].as_str().unwrap();
            groups.push(self.get(&format!("/v1/memories?group_id={group}")).await.ok());
        }
        serde_json::json!([sessions, groups])
    }
}

/// Vectors that tell texts apart by the letters they consist of.
pub(crate) struct Letters;

#[async_trait]
impl Embedder for Letters {
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        let mut counts = [0.1_f32; 26];
        for letter in text.bytes().map(|byte| byte.to_ascii_lowercase()).filter(u8::is_ascii_lowercase) {
            counts[usize::from(letter - b'a')] += 1.0;
        }
        let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
        Ok(counts.iter().map(|count| count / length).collect())
    }

    async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = vec![];
        for text in texts {
            vectors.push(self.embed_query(&text).await?);
        }
        Ok(vectors)
    }

    fn space(&self) -> &'static str {
        "test/letters/26"
    }

    fn dimensions(&self) -> usize {
        26
    }
}
