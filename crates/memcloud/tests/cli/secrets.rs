//! What LOGGING.md promises is never logged: each of it is planted, in every form of the log, at its most talkative.

use std::time::{Duration, Instant};

use memcloud_test_servers::{SharedNeo4j, SharedPostgres};
use reqwest::Method;
use reqwest_middleware::RequestBuilder;
use serde_json::{Value, json};

use crate::answers::http;
use crate::chatting::Model;
use crate::databases::harness::Settings;
use crate::home::{Home, PATIENCE, Server};

/// In every planted text. Nothing else has it.
const MARK: &str = "planted";
const KEY: &str = "planted-key-of-the-settings";
const FORMATS: [&str; 2] = ["text", "json"];

/// A server that logs everything in this format.
fn serve(home: &Home, format: &str, settings: &[(&str, &str)]) -> Server {
    let mut command = home.memcloud();
    command.args(["serve", "--offline", "--listen", "127.0.0.1:0", "--log-format", format]);
    Server::start(command.env("MEMCLOUD_LOG", "trace").envs(settings.iter().copied()))
}

fn with(key: &str, server: &Server, method: Method, path: &str) -> RequestBuilder {
    http().request(method, format!("{}{path}", server.url)).bearer_auth(key)
}

fn request(server: &Server, method: Method, path: &str) -> RequestBuilder {
    with(KEY, server, method, path)
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

fn session() -> Value {
    json!({
        "group_id": "planted-group",
        "session_id": "planted-session",
        "user_id": ["planted-user"],
        "agent_id": ["planted-agent"],
    })
}

fn message() -> Value {
    json!({
        "session": session(),
        "producer": "planted-user",
        "produced_for": "planted-agent",
        "episode_content": "planted-content: I moved to Lisbon because of the light.",
        "metadata": {"planted-name": "planted-metadata"},
    })
}

/// Sends what people say and look for, and requests that are wrong, and returns how each was answered.
async fn use_it(server: &Server) -> Vec<u16> {
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let store = || request(server, post.clone(), "/v1/memories");
    let search = json!({"session": session(), "query": "planted-question", "planted-field": 1});
    let strange = json!({"session": session(), "producer": "planted-stranger", "episode_content": "planted"});
    vec![
        status(store().header("idempotency-key", "planted-idempotency").json(&message())).await,
        status(request(server, post.clone(), "/v1/memories/search").json(&search)).await,
        status(request(server, get.clone(), "/v1/memories?group_id=planted-group")).await,
        status(store().json(&strange)).await,
        status(store().body("{planted-broken")).await,
        status(request(server, get.clone(), "/v1/memories?cursor=planted-cursor")).await,
        status(request(server, delete, "/v1/memories/planted-id")).await,
        status(request(server, get.clone(), "/planted-route?planted=planted")).await,
        status(with("planted-wrong-key", server, get, "/v1/sessions")).await,
    ]
}

async fn chat(server: &Server, text: &str) -> u16 {
    let chat = json!({"session": session(), "messages": [{"role": "user", "content": text}]});
    status(request(server, Method::POST, "/v1/chat").json(&chat)).await
}

/// Asks until it holds.
async fn until(every: Duration, holds: impl AsyncFn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end);
        tokio::time::sleep(every).await;
    }
}

#[track_caller]
fn has_no_secret(log: &str, more: &[String]) {
    assert!(log.contains("listening on"), "{log}");
    let leak =
        log.lines().find(|line| line.contains(MARK) || more.iter().any(|secret| line.contains(secret)));
    assert_eq!(leak, None);
}

#[tokio::test]
async fn no_content_name_key_or_query_is_logged() {
    let model = Model::start();
    for format in FORMATS {
        let home = Home::new();
        let settings = [
            ("MEMCLOUD_API_KEYS", KEY),
            ("OPENAI_BASE_URL", model.url()),
            ("OPENAI_API_KEY", "planted-key-of-the-model"),
            ("MEMCLOUD_CHAT_MODEL", "fake-llm"),
            ("MEMCLOUD_PROFILE_MESSAGES", "1"),
        ];
        let server = serve(&home, format, &settings);
        assert_eq!(use_it(&server).await, [200, 200, 200, 400, 422, 422, 422, 404, 401]);
        assert_eq!(chat(&server, "planted-message: why did I move to Lisbon?").await, 200);
        let new = json!({"name": "planted-key-name", "rights": ["read"]});
        let made = request(&server, Method::POST, "/v1/keys").json(&new).send().await.unwrap();
        let made: Value = made.json().await.unwrap();
        let made = made["key"].as_str().unwrap().to_owned();
        let facts = "/v1/memories/profile?group_id=planted-group";
        until(Duration::from_millis(20), async || {
            let answer = with(&made, &server, Method::GET, facts).send().await.unwrap();
            answer.json::<Value>().await.unwrap()["facts"] != json!([])
        })
        .await;
        model.fails(json!({"faults": ["status=401"]})).await;
        assert!(chat(&server, "planted-message").await >= 500);
        model.works().await;
        let secret = made.rsplit('_').next().unwrap().to_owned();
        has_no_secret(&server.whole_log(), &[secret]);
    }
}

#[tokio::test]
async fn no_password_of_an_unreachable_database_or_model_is_logged() {
    for format in FORMATS {
        for postgres in [
            [
                ("DATABASE_URL", "postgres://memcloud:planted%20password@127.0.0.1:1/memcloud"),
                ("DB_POOL", "2"),
            ],
            [("DB_HOST", "127.0.0.1"), ("DB_PASSWORD", "planted-password")],
        ] {
            let home = Home::new();
            let more = [
                ("MEMCLOUD_API_KEYS", KEY),
                ("NEO4J_URI", "bolt://127.0.0.1:1"),
                ("NEO4J_PASSWORD", "planted-graph-password"),
                ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1?key=planted-parameter"),
                ("OPENAI_API_KEY", "planted-key-of-the-model"),
                ("MEMCLOUD_CHAT_MODEL", "none"),
            ];
            let server = serve(&home, format, &[&postgres[..], &more].concat());
            assert_eq!(use_it(&server).await[0], 503);
            assert!(chat(&server, "planted-message").await >= 500);
            has_no_secret(&server.whole_log(), &[]);
        }
    }
}

#[tokio::test]
async fn no_password_of_a_database_in_use_is_logged() {
    let shared = SharedPostgres::from_environment();
    for format in FORMATS {
        let (home, database) = (Home::new(), shared.create_database());
        let settings = Settings::default().shared_postgres(&database).shared_neo4j();
        let (account, _) =
            database.url().rsplit_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let in_url = account.rsplit_once(':').unwrap().1.to_owned();
        let graph = SharedNeo4j::from_environment().password().to_owned();
        let mut command = home.memcloud();
        settings.apply(&mut command).args([
            "serve",
            "--offline",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            format,
        ]);
        let server = Server::start(command.env("MEMCLOUD_LOG", "trace").env("MEMCLOUD_API_KEYS", KEY));
        assert_eq!(use_it(&server).await[..3], [200, 200, 200]);
        has_no_secret(&server.whole_log(), &[in_url, graph]);
    }
}
