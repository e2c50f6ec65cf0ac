//! Chats and learning on databases: as in the data directory, and by several servers at once.

use memcloud_test_servers::SharedPostgres;
use serde_json::{Value, json};

use super::harness::{Settings, serve_with_model};
use crate::answers::http;
use crate::chatting::{Model, until};
use crate::home::{Home, Server};

fn chatting(settings: Settings, model: &Model) -> Settings {
    settings
        .with("OPENAI_BASE_URL", model.url())
        .with("MEMCLOUD_CHAT_MODEL", "fake-llm")
        .with("MEMCLOUD_PROFILE_MESSAGES", "1")
}

async fn chat(server: &Server, text: &str) -> Value {
    let body = json!({
        "session": {"user_id": ["ann"], "agent_id": ["bot"], "group_id": "g", "session_id": "s"},
        "messages": [{"role": "user", "content": text}],
    });
    let answer = http().post(format!("{}/v1/chat", server.url)).json(&body).send().await.unwrap();
    answer.json().await.unwrap()
}

async fn get(server: &Server, path: &str) -> Value {
    http().get(format!("{}{path}", server.url)).send().await.unwrap().json().await.unwrap()
}

/// The values of the facts, sorted.
fn values(facts: &Value) -> Vec<&str> {
    let facts = facts["facts"].as_array().into_iter().flatten();
    let mut values: Vec<&str> = facts.map(|fact| fact["value"].as_str().unwrap()).collect();
    values.sort_unstable();
    values
}

const FACTS: &str = "/v1/memories/profile?group_id=g";

/// A user moves to another city, and the servers are restarted in between.
async fn story(settings: &Settings) {
    let home = Home::new();
    let server = serve_with_model(&home, settings);
    until(&server, "/health/ready", |ready| ready["status"] == "ready").await;
    let said = chat(&server, "I live in Oslo, and my dog is called Rex.").await;
    assert!(said["user_message"].is_string(), "{said}");
    until(&server, FACTS, |facts| values(facts) == ["Oslo", "Rex"]).await;
    drop(server);
    let server = serve_with_model(&home, settings);
    until(&server, "/health/ready", |ready| ready["status"] == "ready").await;
    let answer = chat(&server, "What is my dog called?").await;
    assert_eq!(answer["content"], "I live in Oslo, and my dog is called Rex.", "{answer}");
    assert_eq!(answer["echo"], true);
    chat(&server, "I moved to Lisbon.").await;
    until(&server, FACTS, |facts| values(facts) == ["Lisbon", "Rex"]).await;
    let facts = get(&server, FACTS).await;
    let since = facts["facts"][0]["metadata"]["valid_from"].as_str().unwrap().to_owned();
    let then = get(&server, &format!("{FACTS}&as_of={since}")).await;
    assert!(values(&then).contains(&"Rex"), "{then}");
    let id = said["user_message"].as_str().unwrap();
    let gone = http().delete(format!("{}/v1/memories/{id}?group_id=g", server.url)).send().await.unwrap();
    assert!(gone.status().is_success());
    assert_eq!(values(&get(&server, FACTS).await), ["Lisbon"], "what rested on it is gone with it");
}

#[tokio::test]
async fn postgres_learns() {
    let database = SharedPostgres::from_environment().create_database();
    let model = Model::start();
    story(&chatting(Settings::default().shared_postgres(&database), &model)).await;
}

#[tokio::test]
async fn neo4j_with_postgres_learns() {
    let database = SharedPostgres::from_environment().create_database();
    let model = Model::start();
    story(&chatting(Settings::default().shared_postgres(&database).shared_neo4j(), &model)).await;
}

/// Three servers on one database learn from each message once, and spend one budget.
#[tokio::test]
async fn servers_share_the_queue_and_the_budget() {
    let (home, database) = (Home::new(), SharedPostgres::from_environment().create_database());
    let model = Model::start();
    let settings = chatting(Settings::default().shared_postgres(&database), &model)
        .with("MEMCLOUD_MODEL_CALLS_PER_DAY", "12");
    let servers: Vec<Server> = (0..3).map(|_| serve_with_model(&home, &settings)).collect();
    for n in 0..6 {
        let (server, user) = (&servers[n % 3], format!("user{n}"));
        let body = json!({
            "session": {"user_id": [user], "agent_id": [], "group_id": "g", "session_id": "s"},
            "producer": user, "produced_for": "", "episode_content": format!("My name is Person{n}."),
        });
        let stored = http().post(format!("{}/v1/memories", server.url)).json(&body).send().await.unwrap();
        assert!(stored.status().is_success());
    }
    let facts = until(&servers[0], FACTS, |facts| values(facts).len() == 6).await;
    assert_eq!(values(&facts), ["Person0", "Person1", "Person2", "Person3", "Person4", "Person5"]);
    assert_eq!(model.calls().await["calls"], 6, "each message was learned from once");
    let mut answered = 0;
    for n in 0..9 {
        let answer = chat(&servers[n % 3], "Who is there?").await;
        answered += usize::from(answer["content"].is_string());
        assert!(answer["content"].is_string() || answer["code"] == "model_limit", "{answer}");
    }
    assert!(answered <= 6, "{answered} of the six calls that were left");
    assert!(model.calls().await["calls"].as_u64().unwrap() <= 12);
}
