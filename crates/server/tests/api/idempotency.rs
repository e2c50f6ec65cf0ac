use crate::test_instance::{Answer, Instance};
use serde_json::{Value, json};

async fn send(instance: &Instance, path: &str, key: &str, body: &Value) -> Answer {
    instance.send("POST", path, &[("Idempotency-Key", key)], body.to_string()).await
}

fn replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn the_same_request_is_stored_once() {
    let message = json!({"session": {"group_id": "g"}, "episode_content": "tea"});
    let batch = json!({"session": {"group_id": "g"}, "episodes": [{"episode_content": "a"}, {"episode_content": "b"}]});
    for (path, body, count) in [
        ("/v1/memories", &message, 1),
        ("/v1/memories/episodic", &message, 1),
        ("/v1/memories/profile", &message, 1),
        ("/v1/memories/batch", &batch, 2),
    ] {
        let instance = Instance::open().await;
        let first = send(&instance, path, "key-1", body).await;
        let again = send(&instance, path, "key-1", body).await;
        assert_eq!(first.ok(), again.ok());
        assert!(!replayed(&first) && replayed(&again), "{path}");
        let page = instance.get("/v1/memories?group_id=g").await.ok();
        assert_eq!(page["episodes"].as_array().unwrap().len(), count, "{path}");
        assert_ne!(send(&instance, path, "key-2", body).await.ok(), first.ok());
    }
}

#[tokio::test]
async fn another_request_under_the_same_key_is_a_conflict() {
    let instance = Instance::open().await;
    let message = json!({"session": {"group_id": "g"}, "episode_content": "tea"});
    send(&instance, "/v1/memories", "key", &message).await.ok();
    let before = instance.everything().await;
    let other = json!({"session": {"group_id": "g"}, "episode_content": "coffee"});
    assert_eq!(send(&instance, "/v1/memories", "key", &other).await.code(409), "idempotency_conflict");
    assert_eq!(
        send(&instance, "/v1/memories/profile", "key", &message).await.code(409),
        "idempotency_conflict"
    );
    assert_eq!(instance.everything().await, before);
    let elsewhere = json!({"session": {"group_id": "h"}, "episode_content": "coffee"});
    send(&instance, "/v1/memories", "key", &elsewhere).await.ok();
}

#[tokio::test]
async fn concurrent_copies_of_a_request_are_stored_once() {
    let instance = std::sync::Arc::new(Instance::open().await);
    let message = json!({"session": {"group_id": "g"}, "episode_content": "tea"});
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (instance, message) = (std::sync::Arc::clone(&instance), message.clone());
            tokio::spawn(
                async move { send(&instance, "/v1/memories", "key", &message).await.ok()["id"].clone() },
            )
        })
        .collect();
    let mut ids = vec![];
    for task in tasks {
        ids.push(task.await.unwrap().to_string());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_key_must_be_text() {
    let instance = Instance::open().await;
    let message = json!({"episode_content": "tea"});
    assert_eq!(send(&instance, "/v1/memories", "", &message).await.code(422), "invalid_header");
    assert_eq!(send(&instance, "/v1/memories", "ü", &message).await.code(422), "invalid_header");
    let long = send(&instance, "/v1/memories", &"k".repeat(2000), &message).await;
    assert_eq!(long.code(422), "name_too_long");
    assert_eq!(long.json()["detail"][0]["loc"], json!(["header", "Idempotency-Key"]));
}
