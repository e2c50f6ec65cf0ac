//! Request ids and the access log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once};

use axum::body::Body;
use memcloud_server::{ApiKeys, Settings};
use secrecy::SecretString;
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;
use tracing_subscriber::fmt::MakeWriter;

use crate::test_instance::{Answer, Instance};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The lines that a request leaves in the JSON log, and its answer.
async fn logged(request: impl Future<Output = Answer>) -> (Answer, Vec<Value>) {
    // Other tests of this process have no log. Without a global one `tracing` would remember that nothing listens.
    static SILENT: Once = Once::new();
    SILENT.call_once(|| {
        let silent = tracing_subscriber::fmt().with_writer(io::sink).with_max_level(tracing::Level::INFO);
        tracing::subscriber::set_global_default(silent.finish()).unwrap();
    });
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(log.clone())
        .with_max_level(tracing::Level::INFO);
    let answer = request.with_subscriber(subscriber.finish()).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (answer, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_request() {
    let instance = Instance::open().await;
    for (path, status) in [("/health/live", 200), ("/v1/sessions", 200), ("/v1/nothing", 404)] {
        let sent = instance.send("GET", path, &[("x-request-id", "from-caller-1")], Body::empty()).await;
        assert_eq!(
            (sent.status.as_u16(), &sent.headers["x-request-id"]),
            (status, &"from-caller-1".parse().unwrap())
        );
        let made = instance.send("GET", path, &[("x-request-id", "not a sane id")], Body::empty()).await;
        assert_eq!(made.headers["x-request-id"].len(), 32, "{path}");
    }
}

#[tokio::test]
async fn a_request_leaves_one_line_without_its_contents() {
    let keys = ApiKeys::new(&[SecretString::from("a-secret-key")]).unwrap();
    let instance = Instance::with(keys, Settings::default(), None).await;
    let key = [("authorization", "Bearer a-secret-key"), ("x-request-id", "r-1")];
    let session = json!({"group_id": "planted-group", "session_id": "s", "user_id": ["planted-person"]});
    let body = json!({"session": session, "producer": "planted-person", "produced_for": "",
        "episode_content": "planted-content", "episode_type": "message"});
    let (stored, lines) = logged(instance.send("POST", "/v1/memories", &key, body.to_string())).await;
    stored.ok();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(line["message"], "answered");
    assert_eq!((&line["method"], &line["route"]), (&json!("POST"), &json!("/v1/memories")));
    assert_eq!((&line["status"], &line["stored"]), (&json!(200), &json!(1)));
    assert_eq!((&line["caller"], &line["span"]["request_id"]), (&json!("settings-1"), &json!("r-1")));
    assert!(line["ms"].as_f64().unwrap() > 0.0);

    let search = json!({"session": session, "query": "planted-content"});
    let (found, lines) = logged(instance.send("POST", "/v1/memories/search", &key, search.to_string())).await;
    assert!(found.text.contains("planted-content"));
    assert_eq!(lines[0]["found"], 1, "{lines:?}");
    assert!(lines[0].get("stored").is_none(), "{lines:?}");

    let path = "/v1/memories/profile/queue?group_id=planted-group";
    let (_, more) = logged(instance.send("GET", path, &key, Body::empty())).await;
    assert_eq!(more[0]["route"], "/v1/memories/profile/queue");
    let (refused, refusal) =
        logged(instance.send("GET", path, &[("authorization", "Bearer planted")], Body::empty())).await;
    assert_eq!(refused.code(401), "unauthorized");
    let [warned, answered] = refusal.as_slice() else { panic!("{refusal:?}") };
    assert_eq!((&warned["message"], &warned["level"]), (&json!("refused keys"), &json!("WARN")));
    assert_eq!((&warned["refused"], &warned["reason"]), (&json!(1), &json!("unknown")));
    assert_eq!((&answered["status"], answered.get("caller")), (&json!(401), None));
    let all = json!([lines, more, refusal]).to_string();
    assert!(!all.contains("planted") && !all.contains("secret"), "{all}");
}

#[tokio::test]
async fn a_request_for_the_model_that_is_not_there_is_no_warning() {
    let instance = Instance::open().await;
    for path in ["/v1/models", "/v1/usage"] {
        let (refused, lines) = logged(instance.get(path)).await;
        assert!(refused.text.contains("no_model"), "{}", refused.text);
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!((&line["message"], &line["level"]), (&json!("answered"), &json!("INFO")));
    }
}

#[tokio::test]
async fn a_caller_without_a_key_is_named_local() {
    let instance = Instance::open().await;
    let (_, lines) = logged(instance.get("/v1/sessions")).await;
    assert_eq!((&lines[0]["caller"], &lines[0]["route"]), (&json!("local"), &json!("/v1/sessions")));
}
