//! The parts of the benchmark, one promise per file.

use serde_json::{Value, json};

pub(super) mod bulk;
pub(super) mod chat;
pub(super) mod databases;
pub(super) mod embedding;
pub(super) mod evidence;
pub(super) mod fill;
pub(super) mod first_build;
pub(super) mod growth;
pub(super) mod search;
pub(super) mod size;
pub(super) mod soak;
pub(super) mod start;
pub(super) mod store;

const GROUP: &str = "bench";
const SPEAKER: &str = "ann";

fn session() -> Value {
    json!({"group_id": GROUP, "session_id": GROUP, "user_id": [SPEAKER], "agent_id": []})
}

fn episode(text: &str) -> Value {
    json!({
        "producer": SPEAKER, "produced_for": SPEAKER, "episode_content": text, "episode_type": "message",
        "metadata": {},
    })
}

fn store_request(text: &str) -> Value {
    let mut request = episode(text);
    request["session"] = session();
    request
}

fn search_request(question: &str) -> Value {
    json!({"session": session(), "query": question, "limit": 10})
}
