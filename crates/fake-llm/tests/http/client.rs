//! A client that parses answers.

use std::time::Duration;

use memcloud_fake_llm::{FakeLlm, Fault, Faults, Options};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

/// Long enough for any machine; only a broken server takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A server and a client of it.
pub(crate) struct Client {
    pub(crate) model: FakeLlm,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::of(Options::default())
    }

    pub(crate) fn of(options: Options) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Self { model: FakeLlm::start(options).unwrap(), http }
    }

    /// A server with this fault until it is changed.
    pub(crate) fn with(fault: Fault) -> Self {
        let client = Self::new();
        client.model.set_faults(Faults::from(fault));
        client
    }

    pub(crate) fn at(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.model.address());
        self.http.request(method.parse().unwrap(), url)
    }

    pub(crate) fn call(&self, body: &Value) -> RequestBuilder {
        self.at("POST", "/v1/chat/completions").json(body)
    }

    pub(crate) async fn send(&self, body: &Value) -> Response {
        self.call(body).send().await.unwrap()
    }

    /// The text of a whole answer.
    pub(crate) async fn said(&self, body: &Value) -> Value {
        let answer = json(self.send(body).await, 200).await;
        answer["choices"][0]["message"]["content"].clone()
    }

    /// Makes a call, and drops it once it has arrived.
    pub(crate) async fn give_up<T>(&self, call: impl Future<Output = T>) {
        let arrived = async {
            while self.model.calls().calls == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            _ = call => panic!("it was answered"),
            () = arrived => {}
        }
    }

    /// The events of a streamed answer.
    pub(crate) async fn events(&self, body: &Value) -> Vec<String> {
        let response = self.send(body).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        events(&response.text().await.unwrap())
    }
}

/// The text of the events.
pub(crate) fn events(text: &str) -> Vec<String> {
    let lines = text.split_inclusive("\n\n").map(|event| {
        assert!(event.ends_with("\n\n"), "{event:?}");
        event.trim_end().strip_prefix("data: ").unwrap().to_owned()
    });
    lines.collect()
}

/// The text of all deltas of a stream.
pub(crate) fn text(events: &[String]) -> String {
    let parsed =
        events.iter().filter(|event| *event != "[DONE]").map(|event| event.parse::<Value>().unwrap());
    parsed.filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
}

/// The body of an answer with this status.
pub(crate) async fn json(response: Response, status: u16) -> Value {
    let answered = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(answered, status, "{text}");
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A question with the answer in its context, not streamed.
pub(crate) fn question() -> Value {
    let memory = r#"- [2026-05-08 13:56] "Ann": "I live in \u003cOslo\u003e now.""#;
    json!({"model": "fake-llm", "messages": [
        {"role": "system", "content": format!("<memories>\n{memory}\n</memories>")},
        {"role": "user", "content": [{"type": "text", "text": "Where does Ann live?"}]},
    ]})
}

/// The answer to it.
pub(crate) const ANSWER: &str = "I live in <Oslo> now.";

/// The same question, with these fields.
pub(crate) fn question_with(fields: &Value) -> Value {
    let mut body = question();
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The same question, streamed.
pub(crate) fn streamed() -> Value {
    question_with(&json!({"stream": true}))
}
