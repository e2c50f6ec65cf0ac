use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::test_console::Console;

/// Secrets that callers send.
const SENT: [&str; 4] = ["neo4j-hunter2", "postgres-hunter2", "sk-hunter2", "password-hunter2"];

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What must be in no answer, log line or file.
fn assert_hidden(text: &str, secrets: &[String], what: &str) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{secret} is in {what}: {text}");
    }
}

#[tokio::test]
async fn no_secret_is_in_an_answer_a_log_or_the_database() {
    let lines = Lines::default();
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(lines.clone());
    let _logging = tracing::subscriber::set_default(log.finish());
    let console = Console::open().await;
    let token = console.owner_token().await;
    let mut secrets: Vec<String> = SENT.map(str::to_owned).to_vec();
    secrets.push(token.clone());
    let mut new = json!({
        "name": "own",
        "neo4j": {"connection_string": "bolt://db", "username": "neo4j", "password": "neo4j-hunter2"},
        "postgres": {"connection_string": "postgres://memory:postgres-hunter2@db/memory"},
        "llm": {"model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-hunter2"},
    });
    let mut answers = vec![];
    answers.push(console.call(&token, "POST", "/api/plan", &new).await);
    let accepted = console.call(&token, "POST", "/api/instances", &new).await;
    let body = accepted.ok();
    console.ended(&token, body["operation"]["id"].as_str().unwrap()).await;
    answers.push(accepted);
    let id = body["instance"]["id"].as_str().unwrap();
    let instance = id.parse().unwrap();
    secrets.push(console.secrets.settings(&instance).await.unwrap().key);
    for path in
        ["/api/instances", "/api/operations", "/api/audit", "/api/doctor", "/api/users", "/api/tokens"]
    {
        answers.push(console.get(&token, path).await);
    }
    let operation = body["operation"]["id"].as_str().unwrap();
    for path in [format!("/api/instances/{id}"), format!("/api/operations/{operation}/events")] {
        answers.push(console.get(&token, &path).await);
    }
    // Wrong requests: an error must not repeat them.
    new["name"] = json!(7);
    answers.push(console.call(&token, "POST", "/api/instances", &new).await);
    new["postgres"]["connection_string"] = json!("mysql://memory:postgres-hunter2@db/memory");
    answers.push(console.call(&token, "POST", "/api/instances", &new).await);
    let broken = new.to_string() + "}";
    answers.push(
        console
            .send("POST", "/api/instances", &[("authorization", &format!("Bearer {token}"))], &broken)
            .await,
    );
    for body in
        [json!({"password": "password-hunter2"}), json!({"name": "ann", "password": "password-hunter2"})]
    {
        answers.push(console.send("POST", "/api/sign-in", &[], &body.to_string()).await);
    }
    let user = json!({"name": "ann", "role": "viewer", "password": "password-hunter2"});
    answers.push(console.call(&token, "POST", "/api/users", &user).await);
    for answer in &answers {
        assert_hidden(&answer.text, &secrets, "an answer");
    }
    // Secrets that are shown once: not in the log, and not in the database.
    let made =
        console.call(&token, "POST", "/api/tokens", &json!({"name": "t", "scopes": ["read"]})).await.ok();
    secrets.push(made["token"].as_str().unwrap().to_owned());
    let link = console.call(&token, "POST", "/api/sign-in-links", &json!({})).await.ok();
    let path = link["sign_in"].as_str().unwrap().strip_prefix("http://127.0.0.1:8090").unwrap();
    secrets.push(path.rsplit('/').next().unwrap().to_owned());
    secrets.push(console.send("GET", path, &[], "").await.ok()["token"].as_str().unwrap().to_owned());
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("/sign-in/{secret}"), "the log was not captured: {logged}");
    assert_hidden(&logged, &secrets, "the log");
    for file in std::fs::read_dir(console.directory.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {}", path.display());
        }
    }
}
