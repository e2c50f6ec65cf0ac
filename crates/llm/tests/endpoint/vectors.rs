//! Embeddings.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use memcloud_domain::{Error, with_causes};
use memcloud_llm::RemoteEmbedder;
use memcloud_ports::Embedder;
use serde_json::{Value, json};

use crate::server::{self, Act, Received, Reply, Server, whole, with_head};
use crate::{PATIENCE, endpoint, endpoint_at};

/// An answer with these vectors, in the format of most endpoints.
fn vectors(vectors: impl IntoIterator<Item = Value>) -> Reply {
    let data: Vec<Value> = vectors
        .into_iter()
        .enumerate()
        .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    server::json(
        json!({"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 1}}).to_string(),
    )
}

fn many(count: usize) -> Reply {
    vectors((0..count).map(|_| json!([3.0, 4.0])))
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("text {number}")).collect()
}

/// A model of two dimensions on this server.
fn embedder(server: &Server) -> RemoteEmbedder {
    RemoteEmbedder::assume(endpoint(server), "org/small", 2)
}

/// How many texts each request asked for.
fn sizes(asked: &[Received]) -> Vec<usize> {
    asked.iter().map(|asked| asked.json()["input"].as_array().unwrap().len()).collect()
}

async fn question(reply: Reply) -> Result<Vec<f32>, Error> {
    let server = Server::start([reply]).await;
    embedder(&server).embed_query("What?").await
}

#[tokio::test]
async fn vectors_have_unit_length_and_the_order_of_the_texts() {
    let data = json!([{"index": 1, "embedding": [0, -5]}, {"index": 0, "embedding": [3, 4.0]}]);
    let mut server = Server::start([server::json(json!({"data": data}).to_string())]).await;
    let embedder = embedder(&server);
    let answered = embedder.embed_documents(vec!["one".into(), "two".into()]).await.unwrap();
    assert_eq!(answered, [[0.6, 0.8], [0.0, -1.0]]);
    let asked = server.asked().await;
    assert_eq!(asked.line, "POST /v1/embeddings HTTP/1.1");
    assert_eq!(asked.json(), json!({"model": "org/small", "input": ["one", "two"]}));
    assert_eq!((embedder.space(), embedder.dimensions()), ("remote/org/small/2", 2));
}

#[tokio::test]
async fn vectors_without_an_index_have_the_order_of_the_texts() {
    for index in ["", "\"index\": null, "] {
        let body = format!(r#"{{"data": [{{{index}"embedding": [1, 0]}}, {{{index}"embedding": [0, 1]}}]}}"#);
        let server = Server::start([server::json(body)]).await;
        let answered = embedder(&server).embed_documents(texts(2)).await.unwrap();
        assert_eq!(answered, [[1.0, 0.0], [0.0, 1.0]]);
    }
}

#[tokio::test]
async fn no_texts_need_no_request() {
    let mut server = Server::start([]).await;
    assert!(embedder(&server).embed_documents(Vec::new()).await.unwrap().is_empty());
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn many_texts_are_sent_in_several_requests() {
    let mut server = Server::start([many(96), many(96), many(8)]).await;
    assert_eq!(embedder(&server).embed_documents(texts(200)).await.unwrap().len(), 200);
    assert_eq!(sizes(&server.received()), [96, 96, 8]);

    // Long ones too: each of these has 45,000 bytes.
    let mut server = Server::start([many(4), many(4), many(2)]).await;
    let long = vec!["\u{20ac}".repeat(15_000); 10];
    assert_eq!(embedder(&server).embed_documents(long).await.unwrap().len(), 10);
    assert_eq!(sizes(&server.received()), [4, 4, 2]);
}

#[tokio::test]
async fn only_the_beginning_of_a_long_text_is_sent() {
    let mut server = Server::start([many(1)]).await;
    embedder(&server).embed_query(&"\u{1f642}".repeat(30_000)).await.unwrap();
    assert_eq!(server.asked().await.json()["input"][0], "\u{1f642}".repeat(24_000));
}

#[tokio::test]
async fn a_request_that_is_too_large_is_split() {
    let too_many =
        || whole("422 Unprocessable", "application/json", r#"{"error":"batch size 4 > maximum allowed"}"#);
    let replies = [too_many(), vectors([json!([1, 0]), json!([0, 1])]), too_many(), many(1), many(1)];
    let mut server = Server::start(replies).await;
    let answered = embedder(&server).embed_documents(texts(4)).await.unwrap();
    assert_eq!(answered, [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.6, 0.8]]);
    let asked = server.received();
    assert_eq!(sizes(&asked), [4, 2, 2, 1, 1]);
    assert_eq!(asked[1].json()["input"], json!(["text 0", "text 1"]));
    assert_eq!(asked[4].json()["input"], json!(["text 3"]));
}

#[tokio::test]
async fn a_text_that_is_too_long_for_the_model_is_cut_until_it_fits() {
    for refusal in [
        r#"{"object":"error","message":"This model's maximum context length is 512 tokens.","code":400}"#,
        r#"{"error":{"message":"input is too large to process. increase the physical batch size","code":500}}"#,
        r#"{"error":{"message":"the input length exceeds the context length"}}"#,
    ] {
        let no = || whole("400 Bad Request", "application/json", refusal);
        let mut server = Server::start([no(), no(), many(1)]).await;
        embedder(&server).embed_query(&"x".repeat(4_000)).await.unwrap();
        let lengths: Vec<usize> =
            server.received().iter().map(|asked| asked.json()["input"][0].as_str().unwrap().len()).collect();
        assert_eq!(lengths, [4_000, 2_000, 1_000]);
    }
    // A short text is not split.
    let mut server = Server::start([whole("400 Bad", "text/plain", "maximum context length")]).await;
    assert!(matches!(embedder(&server).embed_query("What?").await, Err(Error::Embedding(_))));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn unusable_answers_are_errors_and_not_retried() {
    for body in [
        json!({"data": []}),
        json!({"data": [{"embedding": [1, 0]}, {"embedding": [1, 0]}]}),
        json!({"data": [{"embedding": [1, 0, 0]}]}),
        json!({"data": [{"embedding": []}]}),
        json!({"data": [{"embedding": [0, 0]}]}),
        json!({"data": [{"embedding": [1e39, 0]}]}),
        json!({"data": [{"embedding": [null, 0]}]}),
        json!({"data": [{"embedding": "AACAPwAAAAA="}]}),
        json!({"data": [{"index": 1, "embedding": [1, 0]}]}),
        json!({"data": [{"index": -1, "embedding": [1, 0]}]}),
        json!({"data": [{}]}),
        json!({"data": null}),
        json!({}),
        json!({"error": {"message": "no", "code": 400}}),
    ] {
        match question(server::json(body.to_string())).await {
            Err(Error::Embedding(_)) => {}
            // Three dimensions lead to a second request, for two, which this server does not answer.
            Err(Error::EmbeddingUnavailable(_)) if body["data"][0]["embedding"] == json!([1, 0, 0]) => {}
            other => panic!("{body}: {other:?}"),
        }
    }
    for body in [
        "",
        "<html>",
        "[]",
        r#"{"data": [{"embedding": [NaN, 0]}]}"#,
        r#"{"data": [{"embedding": [1e999]}]}"#,
    ] {
        assert!(matches!(question(server::json(body)).await, Err(Error::Embedding(_))), "{body}");
    }
    let twice = json!({"data": [{"index": 0, "embedding": [1, 0]}, {"index": 0, "embedding": [0, 1]}]});
    let server = Server::start([server::json(twice.to_string())]).await;
    assert!(matches!(embedder(&server).embed_documents(texts(2)).await, Err(Error::Embedding(_))));
    for status in ["400 Bad Request", "401 Unauthorized", "404 Not Found", "302 Found"] {
        assert!(matches!(question(whole(status, "text/plain", "no")).await, Err(Error::Embedding(_))));
    }
}

/// Asserts that this reply is retried twice and no more often.
async fn is_tried_three_times(name: &str, bad: Reply) {
    let mut server = Server::start([bad.clone(), bad.clone(), many(1)]).await;
    assert_eq!(embedder(&server).embed_query("What?").await.unwrap(), [0.6, 0.8], "{name}");
    assert_eq!(server.received().len(), 3, "{name}");

    let mut server = Server::start([bad.clone(), bad.clone(), bad, many(1)]).await;
    let failed = embedder(&server).embed_query("What?").await;
    assert!(matches!(failed, Err(Error::EmbeddingUnavailable(_))), "{name}: {failed:?}");
    assert_eq!(server.received().len(), 3, "{name}");
}

#[tokio::test]
async fn transient_failures_are_tried_three_times() {
    let cases = [
        ("busy", with_head("429 Slow", "retry-after: 0\r\n", "slow")),
        ("down", whole("503 Down", "text/html", "<html>")),
        ("failed", whole("500 Oh", "text/plain", "oh")),
        ("late", whole("408 Late", "text/plain", "")),
        ("failed with a good status", server::json(r#"{"error": {"message": "CUDA out of memory"}}"#)),
        ("gone", vec![]),
        ("cut", vec![server::send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")]),
    ];
    join_all(cases.into_iter().map(|(name, bad)| is_tried_three_times(name, bad))).await;
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_unavailable() {
    let gone = Server::start([]).await.url("/v1");
    let embedder = RemoteEmbedder::assume(endpoint_at(&gone, PATIENCE), "small", 2);
    let failed = embedder.embed_query("What?").await.unwrap_err();
    assert!(matches!(failed, Error::EmbeddingUnavailable(_)) && with_causes(&failed).contains("connect"));
}

#[tokio::test]
async fn a_short_retry_after_is_honored() {
    let begun = Instant::now();
    let mut server = Server::start([with_head("429 Slow", "retry-after-ms: 1200\r\n", ""), many(1)]).await;
    embedder(&server).embed_query("What?").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(1200));
    assert_eq!(server.received().len(), 2);

    let mut server = Server::start([with_head("429 Slow", "retry-after: 11\r\n", ""), many(1)]).await;
    assert!(matches!(embedder(&server).embed_query("What?").await, Err(Error::EmbeddingUnavailable(_))));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_silent_endpoint_is_not_retried() {
    let mut server = Server::start([vec![Act::Hang], many(1)]).await;
    let endpoint = endpoint_at(&server.url("/v1"), Duration::from_millis(200));
    let failed = RemoteEmbedder::assume(endpoint, "small", 2).embed_query("What?").await;
    assert!(matches!(failed, Err(Error::EmbeddingUnavailable(_))), "{failed:?}");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn connecting_learns_the_dimensions() {
    let mut server = Server::start([vectors([json!([1, 2, 3])])]).await;
    let embedder = RemoteEmbedder::connect(endpoint(&server), "small", None).await.unwrap();
    assert_eq!((embedder.dimensions(), embedder.space()), (3, "remote/small/3"));
    let asked = server.asked().await.json();
    assert!(asked["input"][0].is_string() && asked.get("dimensions").is_none(), "{asked}");
}

#[tokio::test]
async fn dimensions_are_requested_only_where_needed() {
    let mut server = Server::start([many(1), many(1)]).await;
    let embedder = RemoteEmbedder::connect(endpoint(&server), "small", Some(2)).await.unwrap();
    embedder.embed_query("What?").await.unwrap();
    assert!(server.received().iter().all(|asked| asked.json().get("dimensions").is_none()));

    let mut server = Server::start([vectors([json!([1, 0, 0, 0])]), many(1), many(1)]).await;
    let embedder = RemoteEmbedder::connect(endpoint(&server), "large", Some(2)).await.unwrap();
    embedder.embed_query("What?").await.unwrap();
    let dimensions: Vec<Value> =
        server.received().iter().map(|asked| asked.json()["dimensions"].clone()).collect();
    assert_eq!(dimensions, [Value::Null, json!(2), json!(2)]);
    assert_eq!(embedder.space(), "remote/large/2");
}

#[tokio::test]
async fn dimensions_that_the_model_cannot_have_are_an_error() {
    let four = || vectors([json!([1, 0, 0, 0])]);
    let no = whole("400 Bad", "application/json", r#"{"error":{"message":"no dimensions here"}}"#);
    for second in [four(), no] {
        let server = Server::start([four(), second]).await;
        let error = RemoteEmbedder::connect(endpoint(&server), "small", Some(2)).await.unwrap_err();
        assert!(matches!(error, Error::Embedding(_)), "{error:?}");
        assert!(with_causes(&error).contains("length 4 where 2 is wanted"), "{}", with_causes(&error));
    }
}
