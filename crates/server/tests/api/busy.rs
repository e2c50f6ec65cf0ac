//! Requests and answers share one account of memory. What does not fit is refused as busy, and leaves nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use memcloud_domain::InFlight;
use memcloud_instance::{Assembly, Config, Parts};
use memcloud_memory::Limits;
use memcloud_server::router;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::test_instance::{Answer, Instance};

const STORE: &str = "/v1/memories";

/// An instance with this much memory for requests and answers, and the account of it.
async fn instance(in_flight_bytes: usize) -> (Instance, Arc<InFlight>) {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { in_flight_bytes, ..Limits::default() };
    let config = Config { limits, ..Config::in_directory(directory.path()) };
    let parts = Parts::of(config.engines.open(directory.path()).await.unwrap());
    let Assembly { app, memory, .. } = Assembly::of(parts, &config).await.unwrap();
    (Instance::of(router(app), directory), Arc::clone(memory.in_flight()))
}

fn message(bytes: usize) -> Value {
    json!({"session": {"group_id": "g"}, "episode_content": format!("tea {}", "x".repeat(bytes))})
}

fn assert_busy(answer: &Answer) {
    assert_eq!(answer.code(503), "busy");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_refused_and_stores_nothing() {
    let (instance, _) = instance(1 << 20).await;
    instance.post(STORE, &message(50_000)).await.ok();
    let before = instance.everything().await;
    assert_busy(&instance.post(STORE, &message(500_000)).await);
    let many_values = json!({"session": {"group_id": "g"}, "episode_content": "tea", "metadata": {"x": vec![json!({}); 900]}});
    instance.post(STORE, &many_values).await.ok();
    let batch = json!({"episodes": vec![many_values; 9]});
    assert_busy(&instance.post("/v1/memories/batch", &batch).await);
    instance.post(STORE, &message(50_000)).await.ok();
    let after = instance.everything().await;
    assert_ne!(before, after, "what fits is stored again");
    assert!(!after.to_string().contains(&"x".repeat(60_000)));
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_refused_and_small_answers_are_not() {
    let (instance, account) = instance(8 << 20).await;
    for _ in 0..4 {
        instance.post(STORE, &message(500_000)).await.ok();
    }
    let list = "/v1/memories?group_id=g";
    let search = json!({"session": {"group_id": "g"}, "query": "tea", "limit": 9});
    assert_eq!(instance.get(list).await.status, 200);
    // Others take nearly all of it.
    let others = account.reservation();
    others.take((8 << 20) - 100_000).unwrap();
    assert_busy(&instance.get(list).await);
    assert_busy(&instance.post("/v1/memories/search", &search).await);
    for small in ["/health/live", "/health/ready", "/v1/memories?group_id=none", "/v1/sessions"] {
        assert_eq!(instance.get(small).await.status, 200, "{small}");
    }
    drop(others);
    assert_eq!(instance.get(list).await.status, 200);
}

#[tokio::test]
async fn an_answer_counts_until_it_is_read() {
    let (instance, account) = instance(8 << 20).await;
    for _ in 0..4 {
        instance.post(STORE, &message(500_000)).await.ok();
    }
    let request =
        Request::get("/v1/memories?group_id=g").header("host", "localhost").body(Body::empty()).unwrap();
    let answer = instance.router().oneshot(request).await.unwrap();
    let others = account.reservation();
    assert!(others.take(7 << 20).is_err(), "the unread answer takes two megabytes");
    axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    others.take(8 << 20).unwrap();
}

#[tokio::test]
async fn a_body_of_too_many_values_is_refused_before_they_are_read() {
    let (instance, _) = instance(1 << 30).await;
    let message = json!({"episode_content": "tea", "metadata": {"x": vec![json!({"a": 0}); 100_000]}});
    let answer = instance.post(STORE, &message).await;
    assert_eq!(answer.code(422), "too_many_values");
    assert_eq!(answer.json()["detail"][0]["loc"], json!(["body"]));
}
