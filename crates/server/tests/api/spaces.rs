//! Spaces: listed, described, configured and deleted.

use std::sync::Arc;

use axum::body::Body;
use memcloud_instance::{Assembly, Config, LlmOptions, Parts, Profile};
use memcloud_llm::{ChatModel, Endpoint, Timeouts};
use memcloud_memory::Memory;
use memcloud_server::router;
use serde_json::{Value, json};

use crate::test_instance::{Answer, Instance};

/// An instance and its memory, whose deleter does not run by itself.
async fn open() -> (Instance, Arc<Memory>) {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::in_directory(directory.path());
    // Messages wait to be learned from; the learner itself does not run.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint::new("http://127.0.0.1:9", None, Timeouts::default()).unwrap();
    let options = LlmOptions { profile: Some(Profile::default()), ..LlmOptions::default() };
    let parts = Parts {
        llm: Some((Arc::new(ChatModel::new(endpoint, "unreachable")), options)),
        ..Parts::of(config.engines.open(directory.path()).await.unwrap())
    };
    let Assembly { app, memory, .. } = Assembly::of(parts, &config).await.unwrap();
    (Instance::of(router(app), directory), memory)
}

async fn store(instance: &Instance, group: &str) -> Answer {
    let message = json!({
        "session": {"group_id": group, "session_id": "s", "user_id": ["ann"]}, "producer": "ann",
        "produced_for": "", "episode_content": format!("the keys of {group}"), "episode_type": "message",
    });
    instance.post("/v1/memories", &message).await
}

async fn send(instance: &Instance, method: &str, path: &str, key: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers: &[(&str, &str)] = if key.is_empty() { &[] } else { &[("authorization", &bearer)] };
    instance.send(method, path, headers, Body::from(body.to_string())).await
}

async fn patch(instance: &Instance, path: &str, body: Value) -> Answer {
    send(instance, "PATCH", path, "", body).await
}

fn projects(answer: &Value) -> Vec<&str> {
    answer["spaces"].as_array().unwrap().iter().map(|space| space["project"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn spaces_are_listed_page_by_page() {
    let (instance, _) = open().await;
    assert_eq!(instance.get("/v1/spaces").await.ok(), json!({"spaces": [], "next_cursor": null}));
    for group in ["b", "a/x", "c"] {
        store(&instance, group).await.ok();
    }
    let first = instance.get("/v1/spaces?limit=2").await.ok();
    assert_eq!(projects(&first), ["a/x", "b"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = instance.get(&format!("/v1/spaces?limit=2&cursor={cursor}")).await.ok();
    assert_eq!((projects(&second), &second["next_cursor"]), (vec!["c"], &Value::Null));
    assert_eq!(instance.get("/v1/spaces?cursor=x").await.code(422), "invalid_cursor");
    assert_eq!(instance.get("/v1/spaces?limit=0").await.code(422), "limit_out_of_range");
}

#[tokio::test]
async fn a_space_is_described_and_configured() {
    let (instance, _) = open().await;
    store(&instance, "a/x").await.ok();
    let path = "/v1/spaces/universal/a%2Fx";
    let space = instance.get(path).await.ok();
    assert_eq!((&space["org"], &space["project"]), (&json!("universal"), &json!("a/x")));
    assert_eq!(
        (&space["state"], &space["description"], &space["learns"]),
        (&json!("active"), &json!(""), &json!(true))
    );
    assert_eq!((&space["sessions"], &space["episodes"], &space["facts"]), (&json!(1), &json!(1), &json!(0)));
    assert!(space["created_at"].as_str().unwrap().ends_with('Z'));
    let queue = "/v1/memories/profile/queue?group_id=a%2Fx";
    assert_eq!(instance.get(queue).await.ok()["waiting"], 1);
    let changed = patch(&instance, path, json!({"description": "our team", "learns": false})).await.ok();
    assert_eq!((&changed["description"], &changed["learns"]), (&json!("our team"), &json!(false)));
    store(&instance, "a/x").await.ok();
    assert_eq!(instance.get(queue).await.ok()["waiting"], 1, "a space that does not learn queues nothing");
    let changed = patch(&instance, path, json!({"learns": true})).await.ok();
    assert_eq!((&changed["description"], &changed["episodes"]), (&json!("our team"), &json!(2)));
    for (body, code) in [
        (json!({"description": "x".repeat(1_001)}), "description_too_long"),
        (json!({"description": "\0"}), "nul_character"),
        (json!({"learns": "yes"}), "wrong_type"),
        (json!({"learn": false}), "unknown_field"),
    ] {
        assert_eq!(patch(&instance, path, body).await.code(422), code);
    }
    for unknown in ["/v1/spaces/universal/nothing", "/v1/spaces/other/a%2Fx"] {
        assert_eq!(instance.get(unknown).await.code(404), "not_found");
        assert_eq!(patch(&instance, unknown, json!({})).await.code(404), "not_found");
        assert_eq!(instance.delete(unknown).await.code(404), "not_found");
    }
}

#[tokio::test]
async fn a_deleted_space_is_gone_and_can_be_created_again() {
    let (instance, memory) = open().await;
    for group in ["here", "there"] {
        store(&instance, group).await.ok();
    }
    let path = "/v1/spaces/universal/here";
    let unclear = instance.delete(&format!("{path}?dry_run=true")).await;
    assert_eq!(unclear.code(422), "unknown_field");
    for episodes in [1, 0] {
        let deleted = instance.delete(path).await;
        assert_eq!(deleted.status, 202, "{}", deleted.text);
        let (state, count) = (&deleted.json()["state"], &deleted.json()["episodes"]);
        assert_eq!((state, count), (&json!("deleting"), &json!(episodes)));
    }
    assert_eq!(instance.get(path).await.ok()["state"], "deleting");
    assert_eq!(instance.get("/v1/memories?group_id=here").await.ok()["episodes"], json!([]));
    assert_eq!(store(&instance, "here").await.code(409), "space_deleting");
    assert_eq!(patch(&instance, path, json!({"learns": false})).await.code(409), "space_deleting");
    memory.complete_space_deletions().await.unwrap();
    assert_eq!(instance.get(path).await.code(404), "not_found");
    assert_eq!(projects(&instance.get("/v1/spaces").await.ok()), ["there"]);
    store(&instance, "here").await.ok();
    let search = json!({"session": {"group_id": "here"}, "query": "keys"});
    assert_eq!(instance.post("/v1/memories/search", &search).await.ok().as_array().unwrap().len(), 1);
    assert_eq!(instance.get(path).await.ok()["episodes"], 1);
}

#[tokio::test]
async fn a_limited_key_sees_and_deletes_its_own_spaces_only() {
    let (instance, _) = open().await;
    for group in ["mine", "other"] {
        store(&instance, group).await.ok();
    }
    let admin = json!({"name": "admin", "rights": ["read", "write", "admin"]});
    let admin = instance.post("/v1/keys", &admin).await.ok()["key"].as_str().unwrap().to_owned();
    let limited = json!({"name": "limited", "rights": ["read", "admin"], "spaces": ["mine", "later"]});
    let limited = send(&instance, "POST", "/v1/keys", &admin, limited).await.ok();
    let limited = limited["key"].as_str().unwrap();
    let listed = send(&instance, "GET", "/v1/spaces", limited, Value::Null).await.ok();
    assert_eq!(projects(&listed), ["mine"]);
    for method in ["GET", "DELETE"] {
        let refused = send(&instance, method, "/v1/spaces/universal/other", limited, Value::Null).await;
        assert_eq!(refused.code(403), "forbidden_space", "{method}");
    }
    let deleted = send(&instance, "DELETE", "/v1/spaces/universal/mine", limited, Value::Null).await;
    assert_eq!(deleted.status, 202, "{}", deleted.text);
    assert_eq!(
        projects(&send(&instance, "GET", "/v1/spaces", &admin, Value::Null).await.ok()),
        ["mine", "other"]
    );
}
