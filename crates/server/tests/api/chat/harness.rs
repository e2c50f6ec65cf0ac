//! An instance with a language model that fails on demand, and a learner that does not wait.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt;
use memcloud_fake_llm::{FakeLlm, Fault, Faults, Kind, Options};
use memcloud_instance::{Assembly, Config, LlmOptions, Parts, Profile};
use memcloud_llm::{ChatModel, Endpoint, Timeouts};
use memcloud_memory::{Chat, ChatOptions, LearnerOptions};
use memcloud_ports::{Budget, Trigger};
use memcloud_server::router;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::document;
use crate::test_instance::{Answer, Instance, Letters};

/// How an instance is made.
pub(crate) struct With {
    pub(crate) budget: Budget,
    pub(crate) context_tokens: usize,
    pub(crate) silence: Duration,
    /// Whether facts are learned: after one message.
    pub(crate) learns: bool,
}

impl Default for With {
    fn default() -> Self {
        let context_tokens = ChatOptions::default().context_tokens;
        Self { budget: Budget::default(), context_tokens, silence: Duration::from_secs(30), learns: false }
    }
}

/// An instance and its model.
pub(crate) struct ChatInstance {
    pub(crate) instance: Instance,
    pub(crate) model: FakeLlm,
    pub(crate) chat: Arc<Chat>,
    stop: CancellationToken,
}

impl Drop for ChatInstance {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl ChatInstance {
    pub(crate) async fn open() -> Self {
        Self::with(With::default()).await
    }

    pub(crate) async fn with(with: With) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let model = FakeLlm::start(Options::default()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let config = Config::in_directory(directory.path());
        let timeouts = Timeouts { silence: with.silence, ..Timeouts::default() };
        let endpoint = Endpoint::new(&model.url(), None, timeouts).unwrap();
        let client = Arc::new(ChatModel::new(endpoint, "fake-llm"));
        let trigger = Trigger { messages: 1, age: Duration::ZERO };
        let (every, pause) = (Duration::from_millis(20), Duration::from_millis(10));
        let learner = LearnerOptions { trigger, every, pause };
        let options = LlmOptions {
            chat: ChatOptions { context_tokens: with.context_tokens },
            profile: with.learns.then_some(Profile { model: None, learner }),
            budget: with.budget,
        };
        let parts = Parts {
            embedder: Some(Arc::new(Letters)),
            llm: Some((client, options)),
            ..Parts::of(config.engines.open(directory.path()).await.unwrap())
        };
        let Assembly { app, chat, learner, .. } = Assembly::of(parts, &config).await.unwrap();
        let stop = CancellationToken::new();
        if let Some(learner) = learner {
            tokio::spawn(learner.run(stop.clone()));
        }
        Self { instance: Instance::of(router(app), directory), model, chat: chat.unwrap(), stop }
    }

    /// Says something as Ann, in a conversation.
    pub(crate) async fn say(&self, session: &str, text: &str) -> Answer {
        self.instance.post("/v1/chat", &said(session, text)).await
    }

    /// Stores something that Ann said.
    pub(crate) async fn remember(&self, text: &str) -> String {
        let body = json!({
            "session": {"group_id": "g", "session_id": "before", "user_id": ["Ann"], "agent_id": []},
            "producer": "Ann", "produced_for": "", "episode_content": text,
        });
        self.instance.post("/v1/memories", &body).await.ok()["id"].as_str().unwrap().to_owned()
    }

    /// Everything that is stored, oldest first: who said what.
    pub(crate) async fn stored(&self) -> Vec<(String, String)> {
        let page = self.instance.get("/v1/memories?group_id=g&limit=1000").await.ok();
        let episodes = page["episodes"].as_array().unwrap().iter();
        let text = |episode: &Value, field: &str| episode[field].as_str().unwrap().to_owned();
        episodes.map(|episode| (text(episode, "producer_id"), text(episode, "content"))).collect()
    }

    /// Waits until this is stored.
    pub(crate) async fn stored_in_the_end(&self, wanted: impl Fn(&[(String, String)]) -> bool) {
        for _ in 0..1_000 {
            if wanted(&self.stored().await) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never was: {:?}", self.stored().await);
    }

    /// Waits until the usage is this: it is corrected in the background.
    pub(crate) async fn usage_in_the_end(&self, wanted: impl Fn(&Value) -> bool) {
        let mut usage = Value::Null;
        for _ in 0..500 {
            usage = self.instance.get("/v1/usage").await.ok();
            if wanted(&usage) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{usage}");
    }

    /// The body of the last call of chats that the model was asked.
    pub(crate) fn asked(&self) -> Value {
        let calls = self.model.calls().asked;
        calls.into_iter().rfind(|call| call.kind == Some(Kind::Answer)).expect("the model was asked").body
    }

    pub(crate) fn fails(&self, fault: Fault) {
        self.model.set_faults(Faults::from(fault).only(Kind::Answer));
    }

    /// A response whose body comes piece by piece.
    pub(crate) async fn stream(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Streaming {
        let mut request = Request::post(path).header(header::HOST, "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.instance.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Streaming { path: path.to_owned(), parts, body }
    }
}

/// An answer that is still coming.
pub(crate) struct Streaming {
    path: String,
    pub(crate) parts: axum::http::response::Parts,
    body: Body,
}

impl Streaming {
    /// The next piece, as text; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let frame = self.body.frame().await?.unwrap();
        Some(String::from_utf8_lossy(&frame.into_data().unwrap()).into_owned())
    }

    pub(crate) async fn bytes(self) -> Vec<u8> {
        self.body.collect().await.unwrap().to_bytes().to_vec()
    }

    /// All events: their names and their data.
    pub(crate) async fn events(self) -> Vec<(String, Value)> {
        let (path, parts) = (self.path.clone(), self.parts.clone());
        let text = String::from_utf8(self.bytes().await).unwrap();
        document::check(&Method::POST, &path, (parts.status, &parts.headers, &text));
        let events = text.split("\n\n").filter(|event| !event.is_empty());
        let event = |event: &str| {
            let (name, data) = event.split_once('\n').unwrap_or(("", event));
            let data = data.strip_prefix("data: ").unwrap();
            (name.trim_start_matches("event: ").to_owned(), serde_json::from_str(data).unwrap_or(json!(data)))
        };
        events.map(event).collect()
    }
}

/// What Ann says in a conversation.
pub(crate) fn said(session: &str, text: &str) -> Value {
    json!({
        "session": {"group_id": "g", "session_id": session, "user_id": ["Ann"], "agent_id": ["bot"]},
        "messages": [{"role": "user", "content": text}],
    })
}
