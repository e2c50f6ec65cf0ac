//! Whole answers, as clients read them. `INSTA_UPDATE=always cargo test -p memcloud-server` accepts changes.

use serde_json::{Value, json};

use crate::test_instance::{Answer, Instance};

/// What differs from run to run, and what is shown in its place.
const CHANGING: [(&str, &str); 4] = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r#""next_cursor": "[^"]+""#, r#""next_cursor": "CURSOR""#),
    (r#""version": "[^"]+""#, r#""version": "VERSION""#),
    (r#""ingested_at": "[^"]+""#, r#""ingested_at": "TIME""#),
];

#[track_caller]
fn check(name: &str, answer: &Answer) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    for (pattern, replacement) in CHANGING {
        settings.add_filter(pattern, replacement);
    }
    let shown = format!("{}\n{:#}", answer.status, answer.json());
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

fn session() -> Value {
    json!({"group_id": "g", "session_id": "s", "user_id": ["ann", "bob"], "agent_id": ["bot"]})
}

async fn filled() -> Instance {
    let instance = Instance::open().await;
    let episodes = json!([
        {"producer": "ann", "produced_for": "bot", "episode_content": "The spare key is under the blue pot.",
         "timestamp": "2024-05-06T07:08:09Z", "metadata": {"room": "garden"}},
        {"producer": "bob", "episode_content": "On Sundays I bake bread.", "timestamp": "2024-05-06T07:09:09Z"},
    ]);
    let stored =
        instance.post("/v1/memories/batch", &json!({"session": session(), "episodes": episodes})).await;
    check("batch", &stored);
    instance
}

#[tokio::test]
async fn answers() {
    let instance = filled().await;
    let search = json!({"session": session(), "query": "Where is the key?", "limit": 1});
    check("search", &instance.post("/v1/memories/search", &search).await);
    check("search_explained", &instance.post("/v1/memories/search?explain=true", &search).await);
    check("search_memmachine", &instance.post("/memmachine/v1/memories/search", &search).await);
    check("list", &instance.get("/v1/memories?group_id=g&limit=1").await);
    check("sessions", &instance.get("/v1/sessions").await);
    check("profile", &instance.get("/v1/memories/profile?group_id=g").await);
    check("usage", &instance.get("/v1/usage").await);
    check("health", &instance.get("/health").await);
    check("ready", &instance.get("/health/ready").await);
    check(
        "deleted",
        &instance.send("DELETE", "/v1/memories", &[], json!({"session": session()}).to_string()).await,
    );
}

#[tokio::test]
async fn errors() {
    let instance = Instance::open().await;
    check("error_no_json", &instance.send("POST", "/v1/memories", &[], "{").await);
    let several =
        json!({"session": {"group_id": 7, "user_id": ["ann"]}, "episode_content": "", "metadata": []});
    check("error_several_problems", &instance.post("/v1/memories", &several).await);
    let stranger = json!({"session": session(), "producer": "eve", "episode_content": "tea"});
    check("error_not_a_member", &instance.post("/v1/memories", &stranger).await);
    check("error_no_route", &instance.get("/v1/nowhere").await);
    check("error_no_method", &instance.delete("/v1/spaces").await);
    check("error_unknown_episode", &instance.get("/v1/memories/0?group_id=g").await);
    let hello = json!({"messages": [{"role": "user", "content": "hello"}]});
    check("error_no_model", &instance.post("/v1/chat", &hello).await);
}
