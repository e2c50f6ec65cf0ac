//! Heads that can be read in two ways, and the headers of every answer.

use axum::body::Body;
use serde_json::json;

use crate::test_instance::Instance;

#[tokio::test]
async fn a_head_that_can_be_read_in_two_ways_is_refused() {
    let instance = Instance::open().await;
    for (headers, code) in [
        (&[("host", "localhost")][..], "repeated_header"),
        (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], "repeated_header"),
        (&[("origin", "http://localhost"), ("origin", "http://evil.com")], "repeated_header"),
        (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], "repeated_header"),
        (&[("transfer-encoding", "gzip, chunked")], "unknown_transfer_encoding"),
    ] {
        // The instance is always sent one host.
        for path in ["/v1/sessions", "/v1/models", "/health/live"] {
            let answer = instance.send("GET", path, headers, Body::empty()).await;
            assert_eq!(answer.code(400), code, "{headers:?} {path}");
            assert_eq!(answer.headers["connection"], "close");
        }
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_as_such() {
    let instance = Instance::open().await;
    let send = async |encoding| {
        let body = json!({"episode_content": "hello"}).to_string();
        instance.send("POST", "/v1/memories", &[("content-encoding", encoding)], body).await
    };
    for encoding in ["gzip", "br", "deflate", "gzip, identity"] {
        assert_eq!(send(encoding).await.code(415), "unsupported_encoding", "{encoding}");
    }
    send("identity").await.ok();
}

#[tokio::test]
async fn no_answer_is_stored_or_guessed_at() {
    let instance = Instance::open().await;
    instance.post("/v1/memories", &json!({"episode_content": "hello"})).await.ok();
    for path in ["/v1/memories", "/v1/sessions", "/health/live", "/nowhere", "/openapi.json"] {
        let answer = instance.get(path).await;
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
    }
}
