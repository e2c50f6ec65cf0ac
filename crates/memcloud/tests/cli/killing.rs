//! What "stored" is worth: the server is killed without warning while eight clients store, ten times over.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::Notify;

use reqwest_middleware::ClientWithMiddleware;

use crate::answers::http;
use crate::home::{Home, PATIENCE, Server};
use crate::with_model::serve;

const ROUNDS: usize = 10;
const CLIENTS: usize = 8;
const STORES: usize = 1_000;

/// One store: its content, its Idempotency-Key, and the id that was answered, if it was.
type Answers = HashMap<String, Option<String>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_every_answered_store_survives_a_kill() {
    let home = Home::new();
    let mut all = Answers::new();
    let mut server = serve(&home);
    for round in 0..ROUNDS {
        // Each round is killed at another point, from the first stores to nearly the last.
        let kill_after = 20 + round * (STORES - 40) / ROUNDS;
        let answers = store_until_killed(&mut server, round, kill_after).await;
        let answered = answers.values().flatten().count();
        assert!(answered >= kill_after && answered < STORES, "killed in the midst: {answered}");
        server = serve(&home);
        println!("round {round}: killed after {answered} answers; {} sent again", answers.len() - answered);
        all.extend(retried(&server.url, answers).await);
        check(&server.url, &all).await;
    }
    server.signal("KILL");
    server.ended();
    let rows = look_inside(&home);
    println!("{ROUNDS} kills, {} stores, {rows} rows, each once, each with its vector", all.len());
    assert_eq!(rows, all.len());
}

/// Eight clients store a thousand messages; the server is killed when a certain number has been answered.
async fn store_until_killed(server: &mut Server, round: usize, kill_after: usize) -> Answers {
    let (answered, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (url, answered, enough) = (server.url.clone(), answered.clone(), enough.clone());
            tokio::spawn(async move {
                let http = http();
                let mut answers = Answers::new();
                for n in 0..STORES / CLIENTS {
                    let content =
                        format!("word{round}x{client}x{n} was said in round {round} by client {client}");
                    let id = store(&http, &url, &content).await;
                    if id.is_some() && answered.fetch_add(1, Ordering::SeqCst) + 1 == kill_after {
                        enough.notify_one();
                    }
                    answers.insert(content, id);
                }
                answers
            })
        })
        .collect();
    tokio::time::timeout(2 * PATIENCE, enough.notified()).await.expect("enough stores are answered");
    server.signal("KILL");
    server.ended();
    let mut all = Answers::new();
    for client in clients {
        all.extend(client.await.unwrap());
    }
    all
}

/// Stores a message and answers its id; `None` when the server did not answer.
async fn store(http: &ClientWithMiddleware, url: &str, content: &str) -> Option<String> {
    let body = json!({
        "session": {"group_id": "killing", "session_id": "s", "user_id": ["ann"], "agent_id": []},
        "producer": "ann", "episode_content": content,
    });
    let request = http.post(format!("{url}/v1/memories")).header("Idempotency-Key", content).json(&body);
    let response = request.send().await.ok()?;
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.ok()?;
    assert_eq!(answer["status"], "stored");
    Some(answer["id"].as_str().unwrap().trim_start_matches("episode-").to_owned())
}

/// What was not answered is sent again under the same key, as a client would.
async fn retried(url: &str, answers: Answers) -> Answers {
    let http = http();
    let mut all = Answers::new();
    for (content, id) in answers {
        let id = match id {
            Some(id) => id,
            None => store(&http, url, &content).await.unwrap(),
        };
        all.insert(content, Some(id));
    }
    all
}

/// Every store is there once, under the id that was answered, and the first hit for its own words.
async fn check(url: &str, all: &Answers) {
    let http = http();
    let mut listed = HashMap::new();
    let mut cursor = String::new();
    loop {
        let page = format!("{url}/v1/memories?group_id=killing&limit=1000{cursor}");
        let page: Value = http.get(page).send().await.unwrap().json().await.unwrap();
        for episode in page["episodes"].as_array().unwrap() {
            let content = episode["content"].as_str().unwrap().to_owned();
            let before = listed.insert(content, episode["uuid"].as_str().unwrap().to_owned());
            assert_eq!(before, None, "stored twice: {episode}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(listed.len(), all.len());
    for (content, id) in all {
        assert_eq!(listed.get(content), id.as_ref(), "{content}");
    }
    for (content, id) in all.iter().step_by(all.len().div_ceil(200)) {
        let body =
            json!({"session": {"group_id": "killing", "session_id": "s"}, "query": content, "limit": 1});
        let found: Value = http
            .post(format!("{url}/v1/memories/search"))
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(found[0]["uuid"].as_str(), id.as_deref(), "{content}");
    }
}

/// Looks into the database itself: intact, and no row without a vector of the right length. Answers the rows.
fn look_inside(home: &Home) -> usize {
    let file = home.data().join(memcloud_store_sqlite::FILE);
    let database = rusqlite::Connection::open(file).unwrap();
    let count = |sql: &'static str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let intact: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(intact, "ok");
    assert_eq!(count("SELECT count(*) FROM episodes WHERE vector IS NULL OR length(vector) <> 768"), 0);
    assert_eq!(
        count("SELECT count(*) FROM episodes e LEFT JOIN sessions s ON s.id = e.session WHERE s.id IS NULL"),
        0
    );
    assert_eq!(
        count("SELECT count(*) FROM (SELECT content FROM episodes GROUP BY content HAVING count(*) > 1)"),
        0
    );
    usize::try_from(count("SELECT count(*) FROM episodes")).unwrap()
}
