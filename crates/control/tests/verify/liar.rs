//! A server that has the shape of an instance, and lies in one way.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use memcloud_client::Client;
use memcloud_control::Reason;
use memcloud_control::verify::Restart;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing.
    None,
    /// It finds nothing.
    FindsNothing,
    /// The right memory is its second hit.
    WrongFirst,
    /// It finds the newest messages, whatever is asked.
    NewestFirst,
    /// It invents a plausible memory.
    Invents,
    /// It answers requests for messages after more than two seconds.
    Slow,
    /// It answers a batch with one id less.
    Forgets,
    /// A restart loses all messages.
    LosesAll,
    /// A restart loses the last message.
    LosesOne,
    /// A restart gives every message another id.
    Renames,
    /// It answers every request with status 500.
    Fails,
    /// It answers no request.
    Silent,
    /// It answers every request with a web page.
    WebPage,
    /// A chat recalls nothing.
    ChatsWithoutMemory,
    /// It never deletes a space.
    NeverDeletes,
}

/// The server.
pub(crate) struct Liar {
    pub(crate) client: Client,
    lies: Arc<Lies>,
}

struct Lies {
    lie: Lie,
    messages: Mutex<Vec<(u64, String)>>,
    deleted: Mutex<HashSet<String>>,
}

impl Liar {
    pub(crate) async fn start(lie: Lie) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let lies = Arc::new(Lies { lie, messages: Mutex::default(), deleted: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
        let router = Router::new()
            .route("/v1/memories", post(store).get(list))
            .route("/v1/memories/batch", post(batch))
            .route("/v1/memories/search", post(search))
            .route("/v1/memories/profile", get(facts))
            .route("/v1/memories/profile/queue", get(queue))
            .route("/v1/chat", post(chat))
            .route("/v1/spaces", get(async || Json(json!({"spaces": [], "next_cursor": null}))))
            .route("/v1/spaces/{org}/{project}", get(space).delete(delete))
            .layer(from_fn_with_state(Arc::clone(&lies), lie_first))
            .with_state(Arc::clone(&lies));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { client, lies }
    }

    /// Whether one space was deleted, and no other.
    pub(crate) fn has_deleted_its_space(&self) -> bool {
        self.lies.deleted.lock().unwrap().len() == 1
    }
}

#[async_trait]
impl Restart for Liar {
    async fn restart(&self) -> Result<Client, Reason> {
        let mut messages = self.lies.messages.lock().unwrap();
        match self.lies.lie {
            Lie::LosesAll => messages.clear(),
            Lie::LosesOne => drop(messages.pop()),
            Lie::Renames => messages.iter_mut().for_each(|(number, _)| *number += 1_000),
            _ => {}
        }
        Ok(self.client.clone())
    }
}

async fn lie_first(State(lies): State<Arc<Lies>>, request: Request, next: Next) -> Response {
    match lies.lie {
        Lie::Slow if request.uri().path().starts_with("/v1/memories") => {
            tokio::time::sleep(Duration::from_millis(2_200)).await;
        }
        Lie::Fails => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Lie::Silent => std::future::pending().await,
        Lie::WebPage => return Html("<html>Welcome!</html>").into_response(),
        _ => {}
    }
    next.run(request).await
}

fn uuid(number: u64) -> String {
    format!("00000000-0000-7000-8000-{number:012x}")
}

fn id(number: u64) -> String {
    format!("episode-{}", uuid(number))
}

fn episode((number, text): &(u64, String)) -> Value {
    json!({
        "id": id(*number), "uuid": uuid(*number), "content": text, "episode_type": "message",
        "content_type": "string", "timestamp": "2026-05-08T12:00:00.000000", "group_id": "g",
        "session_id": "s", "producer_id": "resident", "produced_for_id": "", "user_metadata": {}, "score": 1.0,
    })
}

impl Lies {
    fn keep(&self, episode: &Value) -> String {
        let mut messages = self.messages.lock().unwrap();
        let number = messages.len() as u64 + 1;
        messages.push((number, episode["episode_content"].as_str().unwrap().to_owned()));
        id(number)
    }

    /// The messages that share most words with the query first.
    fn find(&self, query: &str) -> Vec<(u64, String)> {
        let words = |text: &str| text.split(' ').map(str::to_lowercase).collect::<HashSet<_>>();
        let asked = words(query.trim_end_matches('?'));
        let mut found = self.messages.lock().unwrap().clone();
        found.sort_by_key(|(_, text)| std::cmp::Reverse(words(text).intersection(&asked).count()));
        found
    }
}

async fn store(State(lies): State<Arc<Lies>>, Json(body): Json<Value>) -> Json<Value> {
    Json(json!({"id": lies.keep(&body), "status": "stored"}))
}

async fn batch(State(lies): State<Arc<Lies>>, Json(body): Json<Value>) -> Json<Value> {
    let mut ids: Vec<_> =
        body["episodes"].as_array().unwrap().iter().map(|episode| lies.keep(episode)).collect();
    if lies.lie == Lie::Forgets {
        ids.pop();
    }
    Json(json!({"ids": ids, "status": "stored"}))
}

async fn list(State(lies): State<Arc<Lies>>) -> Json<Value> {
    let episodes: Vec<_> = lies.messages.lock().unwrap().iter().map(episode).collect();
    Json(json!({"episodes": episodes, "next_cursor": null}))
}

async fn search(State(lies): State<Arc<Lies>>, Json(body): Json<Value>) -> Json<Value> {
    let mut found = lies.find(body["query"].as_str().unwrap());
    match lies.lie {
        Lie::FindsNothing => found.clear(),
        Lie::WrongFirst => found.swap(0, 1),
        Lie::NewestFirst => found.sort_by_key(|(number, _)| std::cmp::Reverse(*number)),
        Lie::Invents => found = vec![(1, "The code word for the boat house is swordfish.".into())],
        _ => {}
    }
    found.truncate(3);
    Json(found.iter().map(episode).collect())
}

async fn chat(State(lies): State<Arc<Lies>>, Json(body): Json<Value>) -> Json<Value> {
    let text = body["messages"][0]["content"].as_str().unwrap();
    let mut found = lies.find(text);
    found.truncate(3);
    if lies.lie == Lie::ChatsWithoutMemory {
        found.clear();
    }
    let memories = found.iter().map(|(number, text)| {
        json!({"uid": uuid(*number), "score": 1.0, "content": text, "producer": "resident", "timestamp": "", "session_id": "s"})
    });
    let memories: Vec<Value> = memories.collect();
    let stored = lies.keep(&json!({"episode_content": text}));
    Json(json!({
        "content": "Certainly! I remember that well.", "memories": memories, "profile": [], "context_tokens": 10,
        "user_message": stored, "assistant_message": null, "echo": false, "trimmed": false,
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "estimated": false},
    }))
}

/// A plausible fact, which no one said.
async fn facts() -> Json<Value> {
    let metadata = json!({
        "id": 1, "user_id": "resident", "category": "profile", "citations": [uuid(1)], "valid_from": "2026-05-08T12:00:00Z",
        "valid_to": null, "learned_at": "2026-05-08T12:00:00Z", "prompt": "1", "model": "m",
    });
    Json(json!({"facts": [{"tag": "Home", "feature": "city", "value": "Lisbon", "metadata": metadata}]}))
}

async fn queue() -> Json<Value> {
    Json(json!({"learning": true, "waiting": 0, "since": null, "parked": 0, "parked_messages": []}))
}

fn details(project: &str) -> Json<Value> {
    Json(json!({
        "org": "universal", "project": project, "description": "", "learns": true, "state": "deleting",
        "created_at": null, "sessions": 0, "episodes": 0, "facts": 0,
    }))
}

async fn space(State(lies): State<Arc<Lies>>, Path((_, project)): Path<(String, String)>) -> Response {
    let is_gone = lies.lie != Lie::NeverDeletes && lies.deleted.lock().unwrap().contains(&project);
    if is_gone { StatusCode::NOT_FOUND.into_response() } else { details(&project).into_response() }
}

async fn delete(State(lies): State<Arc<Lies>>, Path((_, project)): Path<(String, String)>) -> Json<Value> {
    lies.deleted.lock().unwrap().insert(project.clone());
    details(&project)
}
