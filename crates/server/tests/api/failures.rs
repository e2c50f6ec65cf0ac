//! What callers see when a part of the memory fails.

use std::sync::Arc;
use std::time::Duration;

use crate::test_instance::Instance;
use async_trait::async_trait;
use memcloud_domain::Error;
use memcloud_ports::Embedder;
use memcloud_server::{ApiKeys, Settings};
use serde_json::json;

/// A model that is out of order.
#[derive(Clone, Copy)]
enum Broken {
    Failing,
    Panicking,
    Hanging,
}

#[async_trait]
impl Embedder for Broken {
    async fn embed_query(&self, _text: &str) -> Result<Vec<f32>, Error> {
        match self {
            Self::Failing => Err(Error::Embedding("secret path /var/model".into())),
            Self::Panicking => panic!("a defect of the model"),
            Self::Hanging => std::future::pending().await,
        }
    }

    async fn embed_documents(&self, _texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        self.embed_query("").await.map(|vector| vec![vector])
    }

    fn space(&self) -> &'static str {
        "test/broken/1"
    }

    fn dimensions(&self) -> usize {
        1
    }
}

async fn with(embedder: Broken) -> Instance {
    let settings = Settings { probe_timeout: Duration::from_millis(100), ..Settings::default() };
    Instance::with(ApiKeys::none(), settings, Some(Arc::new(embedder))).await
}

#[tokio::test]
async fn a_failing_model_is_reported_without_its_inner_causes() {
    let instance = with(Broken::Failing).await;
    let answer = instance.post("/v1/memories", &json!({"episode_content": "x"})).await;
    assert_eq!(answer.code(500), "embedding_failed");
    assert!(!answer.text.contains("secret"), "{}", answer.text);
    assert_eq!(instance.get("/v1/sessions").await.ok(), json!({"sessions": []}), "nothing is stored");
    let ready = instance.get("/health/ready").await;
    assert_eq!(ready.code(503), "embedding_failed");
    assert_eq!(ready.json()["part"], "embedder");
    assert!(ready.headers.contains_key("retry-after"));
    let health = instance.get("/health").await;
    assert_eq!(health.code(503), "embedding_failed");
    assert_eq!(health.json()["status"], "unhealthy");
    assert_eq!(health.json()["memory_managers"]["episodic_memory"], false);
    instance.get("/health/live").await.ok();
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let instance = with(Broken::Panicking).await;
    let answer = instance.post("/v1/memories", &json!({"episode_content": "x"})).await;
    assert_eq!(answer.code(500), "internal");
    assert_eq!(answer.json()["detail"], "Internal Server Error");
    instance.get("/v1/sessions").await.ok();
}

#[tokio::test]
async fn readiness_does_not_wait_for_ever() {
    let instance = with(Broken::Hanging).await;
    let ready = instance.get("/health/ready").await;
    assert_eq!(ready.code(503), "probe_timeout");
    assert_eq!(ready.json()["status"], "unavailable");
}
