//! The largest legal requests, sixteen or many more at once: the process stays below its stated bound, and nothing is half
//! stored.
#![cfg(target_os = "linux")]

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::answers::http_client;
use crate::home::{Home, Server};

const AT_ONCE: usize = 16;
/// `MEMCLOUD_MEMORY_BYTES` by default, `MEMCLOUD_INDEX_BYTES` below, and the stated bound of both.
const MEMORY: u64 = 512;
const INDEX: u64 = 32;
const BOUND: u64 = (MEMORY + INDEX) << 20;

fn serve(home: &Home, memory: u64) -> Server {
    let mut command = home.memcloud();
    command.args(["serve", "--offline", "--listen", "127.0.0.1:0"]);
    // A slow machine may take long to get to the last of them.
    command.env("MEMCLOUD_INDEX_BYTES", (INDEX << 20).to_string()).env("MEMCLOUD_BODY_TIMEOUT", "600");
    command.env("MEMCLOUD_MEMORY_BYTES", (memory << 20).to_string());
    Server::start(&mut command)
}

/// Sends a request some times at once, and returns how often it was answered with 200. All others are refused as busy.
async fn at_once(times: usize, request: impl Fn(usize) -> reqwest::RequestBuilder) -> usize {
    let mut requests = JoinSet::new();
    for number in 0..times {
        let request = request(number);
        requests.spawn(async move {
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = answer.bytes().await.unwrap();
            if status != StatusCode::OK {
                let body: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(
                    (status, &body["code"]),
                    (StatusCode::SERVICE_UNAVAILABLE, &json!("busy")),
                    "{body}"
                );
                assert!(headers.contains_key("retry-after"));
            }
            status == StatusCode::OK
        });
    }
    requests.join_all().await.into_iter().filter(|answered| *answered).count()
}

/// A batch of the longest body, of these messages.
fn batch(group: &str, messages: usize, message: impl Fn(usize) -> Value) -> String {
    let episodes: Vec<Value> = (0..messages).map(message).collect();
    let body = json!({"session": {"group_id": group}, "episodes": episodes}).to_string();
    assert!((7_000_000..=(8 << 20)).contains(&body.len()), "{}", body.len());
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_of_the_largest_requests_stay_below_the_bound() {
    let home = Home::new();
    let server = serve(&home, MEMORY);
    // A slow machine may not read for long.
    let client = http_client().tcp_user_timeout(None).build().unwrap();
    let url = server.url.clone();
    let long = |n: usize| json!({"episode_content": format!("tea {n} {}", "word ".repeat(209_000))});
    // Values that take the most memory for their bytes, as many as one body may have.
    let values = |_: usize| {
        let dense = vec![json!({"a": 0}); 45];
        json!({"episode_content": format!("tea {}", "x".repeat(7_000)), "metadata": {"x": dense}})
    };
    let batches = [("long", 7, batch("long", 7, long)), ("values", 1_000, batch("values", 1_000, values))];
    for (group, messages, body) in &batches {
        let stored =
            at_once(AT_ONCE, |_| client.post(format!("{url}/v1/memories/batch")).body(body.clone())).await;
        assert!((1..=AT_ONCE).contains(&stored), "{group}: {stored}");
        let space: Value = client
            .get(format!("{url}/v1/spaces/universal/{group}"))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(space["episodes"], json!(stored * messages), "nothing is half stored: {space}");
        assert!(server.peak_resident() < BOUND, "{group}: {}", server.peak_resident());
    }
    for group in ["long", "values"] {
        let pages =
            at_once(AT_ONCE, |_| client.get(format!("{url}/v1/memories?group_id={group}&limit=1000"))).await;
        let search = json!({"session": {"group_id": group}, "query": "tea", "limit": 1_000}).to_string();
        let search = |_| client.post(format!("{url}/v1/memories/search")).body(search.clone());
        let searches = at_once(AT_ONCE, search).await;
        assert!(pages > 0 && searches > 0);
        assert!(server.peak_resident() < BOUND, "{group}: {}", server.peak_resident());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_answers_at_once_stay_below_a_low_bound() {
    const LOW: u64 = 320;
    const MANY: usize = 150;
    let home = Home::new();
    let server = serve(&home, LOW);
    let client = http_client().tcp_user_timeout(None).build().unwrap();
    let url = server.url.clone();
    let message = json!({"episode_content": "tea", "metadata": {"x": "x".repeat(64_000)}});
    let batch = json!({"session": {"group_id": "md"}, "episodes": vec![message; 120]}).to_string();
    for _ in 0..2 {
        let stored =
            at_once(1, |_| client.post(format!("{url}/v1/memories/batch")).body(batch.clone())).await;
        assert_eq!(stored, 1);
    }
    let pages = at_once(MANY, |_| client.get(format!("{url}/v1/memories?group_id=md&limit=1000"))).await;
    let search =
        json!({"session": {"group_id": "md"}, "query": "tea", "limit": 1_000, "explain": true}).to_string();
    let search = |_| client.post(format!("{url}/v1/memories/search")).body(search.clone());
    let searches = at_once(MANY, search).await;
    assert!(pages > 0 && searches > 0, "{pages}, {searches}");
    assert!(server.peak_resident() < (LOW + INDEX) << 20, "{}", server.peak_resident());
}
