//! Whether an instance is ready, asked by many at once, and while another program holds its database.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::answers::http;
use crate::home::Home;

async fn ready(url: &str) -> (u16, Value) {
    let answer = http().get(format!("{url}/health/ready")).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn store(url: &str, key: &str) -> (u16, Value) {
    let message = json!({"episode_content": "about tea"});
    let request = http().post(format!("{url}/v1/memories")).header("idempotency-key", key).json(&message);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_probers_in_a_loop_never_hear_a_false_503() {
    let home = Home::new();
    let server = home.serve();
    let kept = home.write("kept", "mine");
    for name in ["room", "probe", "ready", ".probe"] {
        // What an instance has itself stays as it is.
        let _ = std::os::unix::fs::symlink(&kept, home.data().join(name));
    }
    let mut probers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let url = server.url.clone();
        probers.spawn(async move {
            for _ in 0..25 {
                let (status, answer) = ready(&url).await;
                assert_eq!(status, 200, "{answer}");
            }
        });
    }
    while let Some(prober) = probers.join_next().await {
        prober.unwrap();
    }
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "mine", "no probe follows a link");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_another_program_holds_is_busy_and_not_broken() {
    let home = Home::new();
    let server = home.serve();
    assert_eq!(store(&server.url, "first").await.0, 200);
    let other = Connection::open(home.data().join(memcloud_store_sqlite::FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (status, answer) = store(&server.url, "second").await;
    assert_eq!((status, &answer["code"]), (503, &json!("storage_busy")), "{answer}");
    other.execute_batch("ROLLBACK").unwrap();
    let (status, answer) = store(&server.url, "second").await;
    assert_eq!(status, 200, "{answer}");
}
