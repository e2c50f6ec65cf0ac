use std::io::{BufRead, BufReader, ErrorKind, Read};

use serde_json::json;

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
