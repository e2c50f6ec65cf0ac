use crate::test_instance::Instance;
use serde_json::{Value, json};

async fn instance() -> Instance {
    let instance = Instance::open().await;
    for (group, name, users, agents) in [
        ("g1", "s2", json!(["zoe", "ann"]), json!(["bot"])),
        ("g1", "s1", json!(["ann"]), json!([])),
        ("g2", "s1", json!(["zoe"]), json!(["bot", "aide"])),
    ] {
        let session = json!({"group_id": group, "session_id": name, "user_id": users, "agent_id": agents});
        instance.post("/v1/memories", &json!({"session": session, "episode_content": "hi"})).await.ok();
    }
    instance
}

async fn names(instance: &Instance, path: &str) -> Vec<String> {
    let body = instance.get(path).await.ok();
    let name = |session: &Value| {
        format!("{}/{}", session["group_id"].as_str().unwrap(), session["session_id"].as_str().unwrap())
    };
    body["sessions"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn lists_sessions_in_the_order_they_were_first_seen() {
    let instance = instance().await;
    assert_eq!(names(&instance, "/v1/sessions").await, ["g1/s2", "g1/s1", "g2/s1"]);
    let first = instance.get("/v1/sessions").await.ok()["sessions"][0].clone();
    let expected =
        json!({"user_ids": ["ann", "zoe"], "session_id": "s2", "group_id": "g1", "agent_ids": ["bot"]});
    assert_eq!(first, expected);
}

#[tokio::test]
async fn sessions_are_listed_by_member() {
    let instance = instance().await;
    for (path, expected) in [
        ("/v1/users/ann/sessions", ["g1/s2", "g1/s1"].as_slice()),
        ("/v1/users/zoe/sessions", &["g1/s2", "g2/s1"]),
        ("/v1/groups/g1/sessions", &["g1/s2", "g1/s1"]),
        ("/v1/agents/aide/sessions", &["g2/s1"]),
        ("/v1/users/bot/sessions", &[]),
        ("/v1/agents/ann/sessions", &[]),
        ("/v1/groups/nowhere/sessions", &[]),
        ("/memmachine/v1/groups/g2/sessions", &["g2/s1"]),
    ] {
        assert_eq!(names(&instance, path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn reads_escaped_names() {
    let instance = Instance::open().await;
    let session = json!({"group_id": "a/b c", "user_id": ["jürgen"], "session_id": "s"});
    instance.post("/v1/memories", &json!({"session": session, "episode_content": "hi"})).await.ok();
    assert_eq!(names(&instance, "/v1/groups/a%2Fb%20c/sessions").await, ["a/b c/s"]);
    assert_eq!(names(&instance, "/v1/users/j%C3%BCrgen/sessions").await, ["a/b c/s"]);
    assert_eq!(instance.get("/v1/users/%ff/sessions").await.code(422), "invalid_path");
    assert_eq!(instance.get("/v1/users/a%00b/sessions").await.code(422), "nul_character");
}
