//! Sessions and users are deleted with their names.

use axum::body::Body;
use serde_json::{Value, json};

use crate::test_instance::{Answer, Instance};

async fn store(instance: &Instance, session: &str, producer: &str, produced_for: &str) {
    let message = json!({
        "session": {"group_id": "g", "session_id": session, "user_id": ["ann", "bob"]}, "producer": producer,
        "produced_for": produced_for, "episode_content": format!("the keys of {producer}"),
    });
    instance.post("/v1/memories", &message).await.ok();
}

async fn delete(instance: &Instance, path: &str, key: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers: &[(&str, &str)] = if key.is_empty() { &[] } else { &[("authorization", &bearer)] };
    instance.send("DELETE", path, headers, Body::from(body.to_string())).await
}

#[tokio::test]
async fn a_session_is_deleted_with_its_name() {
    let instance = Instance::open().await;
    for session in ["old", "new"] {
        store(&instance, session, "ann", "bob").await;
        store(&instance, session, "bob", "").await;
    }
    let old = json!({"group_id": "g", "session_id": "old"});
    assert_eq!(delete(&instance, "/v1/sessions", "", old.clone()).await.ok(), json!({"deleted": 2}));
    assert_eq!(delete(&instance, "/v1/sessions", "", old).await.code(404), "not_found");
    let sessions = instance.get("/v1/sessions").await.ok();
    let names: Vec<&Value> =
        sessions["sessions"].as_array().unwrap().iter().map(|session| &session["session_id"]).collect();
    assert_eq!(names, ["new"]);
    assert!(!instance.get("/v1/groups/g/sessions").await.text.contains("old"));
    let search = json!({"session": {"group_id": "g"}, "query": "keys"});
    assert_eq!(instance.post("/v1/memories/search", &search).await.ok().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_user_is_forgotten() {
    let instance = Instance::open().await;
    store(&instance, "s", "ann", "").await;
    store(&instance, "s", "bob", "ann").await;
    store(&instance, "s", "bob", "").await;
    let ann = json!({"group_id": "g", "user_id": "ann"});
    assert_eq!(delete(&instance, "/v1/users", "", ann.clone()).await.ok(), json!({"deleted": 2}));
    assert_eq!(delete(&instance, "/v1/users", "", ann).await.code(404), "not_found");
    for path in ["/v1/sessions", "/v1/memories?group_id=g"] {
        let text = instance.get(path).await.text;
        assert!(text.contains("bob") && !text.contains("ann"), "{path}: {text}");
    }
}

#[tokio::test]
async fn nothing_is_deleted_unless_both_names_are_given() {
    let instance = Instance::open().await;
    store(&instance, "default", "ann", "").await;
    for (path, field) in [("/v1/sessions", "session_id"), ("/v1/users", "user_id")] {
        for (body, code) in [
            (json!({}), "missing_field"),
            (json!({"group_id": "g"}), "missing_field"),
            (json!({field: "default"}), "missing_field"),
            (json!({"group_id": "g", field: ""}), "empty_name"),
            (json!({"group_id": "", field: "default"}), "empty_name"),
            (json!({"group_id": "g", field: "a\u{0}"}), "nul_character"),
            (json!({"group_id": "g", field: ["default"]}), "wrong_type"),
            (json!({"group_id": "g", field: "default", "dry_run": true}), "unknown_field"),
        ] {
            assert_eq!(delete(&instance, path, "", body.clone()).await.code(422), code, "{path} {body}");
        }
        let query = format!("{path}?dry_run=true");
        let body = json!({"group_id": "g", field: "default"});
        assert_eq!(delete(&instance, &query, "", body).await.code(422), "unknown_field");
    }
    assert_eq!(instance.get("/v1/memories?group_id=g").await.ok()["episodes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_administrator_deletes_in_open_groups_only() {
    let instance = Instance::open().await;
    store(&instance, "s", "ann", "").await;
    let admin = json!({"name": "admin", "rights": ["read", "write", "admin"]});
    let admin = instance.post("/v1/keys", &admin).await.ok()["key"].as_str().unwrap().to_owned();
    let make = async |rights: Value, spaces: Value| {
        let body = json!({"name": "k", "rights": rights, "spaces": spaces});
        let bearer = format!("Bearer {admin}");
        let headers: &[(&str, &str)] = &[("authorization", &bearer)];
        let made = instance.send("POST", "/v1/keys", headers, Body::from(body.to_string())).await;
        made.ok()["key"].as_str().unwrap().to_owned()
    };
    let writer = make(json!(["read", "write"]), Value::Null).await;
    let elsewhere = make(json!(["admin"]), json!(["other"])).await;
    for (path, field, name) in [("/v1/users", "user_id", "ann"), ("/v1/sessions", "session_id", "s")] {
        let body = json!({"group_id": "g", field: name});
        assert_eq!(delete(&instance, path, "", body.clone()).await.status, 401);
        assert_eq!(delete(&instance, path, &writer, body.clone()).await.code(403), "forbidden_right");
        assert_eq!(delete(&instance, path, &elsewhere, body.clone()).await.code(403), "forbidden_space");
        assert_eq!(delete(&instance, path, &admin, body).await.status, 200);
    }
}
