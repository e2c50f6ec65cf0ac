use std::io::{BufRead, BufReader, ErrorKind, Read};

use serde_json::{Value, json};

use crate::answers::http;
use crate::home::Home;
use crate::stopping::begin_batch;
use crate::with_model::serve;

/// Embedding these takes several turns of the model for each of the small requests.
const BATCH: usize = 600;
const SMALL: usize = 10;

#[tokio::test]
async fn stores_and_searches_overtake_a_batch_that_is_being_embedded() {
    let home = Home::new();
    let server = serve(&home);
    let text = |n: usize| format!("{n}: {}", "what we saw on our way to the old lighthouse, ".repeat(5));
    let mut batch = begin_batch(&server.url, (0..BATCH).map(text));
    let session = json!({"group_id": "other", "session_id": "s"});
    for n in 0..SMALL {
        let text = format!("message {n}");
        for (path, body) in [
            ("/v1/memories", json!({"session": session, "episode_content": text})),
            ("/v1/memories/search", json!({"session": session, "query": text})),
        ] {
            let answer = http().post(format!("{}{path}", server.url)).body(body.to_string()).send().await;
            assert_eq!(answer.unwrap().status(), 200);
        }
    }
    batch.set_nonblocking(true).unwrap();
    let early = batch.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(early, Err(ErrorKind::WouldBlock), "all are answered before the batch");
    batch.set_nonblocking(false).unwrap();
    let line = BufReader::new(batch).lines().next().unwrap().unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK");
}

/// Deleting so many mebibytes takes several steps.
const MEBIBYTES: usize = 56;
/// In one step, two stores would be answered at most: one in front of it and one beside it.
const OVERTAKE: usize = 4;

#[tokio::test]
async fn stores_overtake_the_deletion_of_large_messages() {
    let home = Home::new();
    let server = home.serve();
    let post = async |path: &str, body: Value| {
        let answer = http().post(format!("{}{path}", server.url)).body(body.to_string()).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    };
    let large = json!({"group_id": "large", "session_id": "s"});
    let episodes = vec![json!({"episode_content": "tea ".repeat(256 << 10)}); 7];
    for _ in 0..MEBIBYTES / 7 {
        post("/v1/memories/batch", json!({"session": large, "episodes": episodes})).await;
    }
    let url = format!("{}/v1/memories", server.url);
    let deleting = tokio::spawn(http().delete(url).body(json!({"session": large}).to_string()).send());
    let mut stored = 0;
    while !deleting.is_finished() {
        post("/v1/memories", json!({"episode_content": "a small one"})).await;
        stored += 1;
    }
    assert_eq!(deleting.await.unwrap().unwrap().status(), 200);
    assert!(stored > OVERTAKE, "{stored} stores were answered before the deletion");
}
