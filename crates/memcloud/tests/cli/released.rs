//! What the released binary kept is opened by this one and answers the same: a data directory here, databases in
//! `databases/released.rs`. The fixture's README says what is in it and how it was made.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answers::http;
use crate::home::{Home, PATIENCE, Server, finish};
use crate::with_model::model_dir;

/// The key whose hash is in the data directory. Databases have no keys, and take any.
const KEY: &str = "mc_a-key-of-the-released-data-directory";
/// Kernels of other machines round otherwise.
const SCORE_TOLERANCE: f64 = 1e-3;
const SCORES: [&str; 2] = ["score", "similarity_score"];
/// The most differences that are shown of one answer.
const SHOWN: usize = 8;

/// What the released binary answered on one engine.
#[derive(Deserialize)]
struct Recorded {
    /// What an export reports.
    counts: Value,
    answers: Vec<Exchange>,
}

/// A request, and its answer.
#[derive(Deserialize)]
struct Exchange {
    name: String,
    method: String,
    path: String,
    #[serde(default)]
    headers: Option<serde_json::Map<String, Value>>,
    #[serde(default)]
    body: Option<Value>,
    answer: Value,
}

#[tokio::test]
async fn the_released_data_directory_answers_the_same() {
    let home = Home::new();
    let data = home.path("released");
    copy(&fixture("data-directory"), &data);
    let database = rusqlite::Connection::open(data.join("memory.sqlite3")).unwrap();
    database.execute_batch(&used_today("")).unwrap();
    database.close().unwrap();
    let memcloud = || {
        let mut command = home.memcloud();
        command.env("MEMCLOUD_DATA_DIR", &data);
        command
    };
    answers_the_same("data-directory", memcloud).await;
    let server = serve(memcloud());
    let refused = http().get(format!("{}/v1/sessions", server.url)).send().await.unwrap();
    assert_eq!(refused.status(), 401, "the keys of the released data directory are still required");
}

/// A file or folder of the fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/released-67159ba").join(name)
}

/// A text of the fixture.
pub(crate) fn text(name: &str) -> String {
    let path = fixture(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// SQL that moves to today what only counts for a while: repeated requests and the use of the language model. The next
/// day is prepared, too, in case it begins now.
pub(crate) fn used_today(schema: &str) -> String {
    const DAY: u64 = 86_400_000_000;
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    let now = u64::try_from(now).unwrap();
    let today = now - now % DAY;
    let tomorrow = today + DAY;
    format!(
        "UPDATE {schema}requests SET at = {now};
         UPDATE {schema}usage SET began = {today} WHERE span = 1;
         INSERT INTO {schema}usage (span, began, calls, tokens)
             SELECT span, {tomorrow}, calls, tokens FROM {schema}usage WHERE span = 1;"
    )
}

/// Serves a memory of the released binary twice, since the first start may change its schema, and compares all answers.
pub(crate) async fn answers_the_same(engine: &str, memcloud: impl Fn() -> Command) {
    let recorded: Recorded = serde_json::from_str(&text(&format!("answers/{engine}.json"))).unwrap();
    let mut server = serve(memcloud());
    compare(engine, "the first", &server, &recorded.answers).await;
    server.signal("TERM");
    assert!(server.ended().success(), "{}", server.logged);

    let copy = tempfile::tempdir().unwrap();
    let mut export = memcloud();
    let report = finish(export.args(["export", "--json", "--to"]).arg(copy.path().join("copy"))).ok().json();
    let wrong = differences(&recorded.counts, &report);
    assert!(wrong.is_empty(), "{engine}: an export counts otherwise:\n{}", wrong.join("\n"));

    let server = serve(memcloud());
    compare(engine, "the second", &server, &recorded.answers).await;
    takes_more(&server).await;
}

/// Serves with the embedding model and a language model that is never called.
fn serve(mut command: Command) -> Server {
    command
        .args(["serve", "--offline", "--listen", "127.0.0.1:0", "--model-dir"])
        .arg(model_dir())
        .env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
        .env("MEMCLOUD_CHAT_MODEL", "dev-model")
        .env("MEMCLOUD_PROFILE", "false");
    Server::start(&mut command)
}

async fn compare(engine: &str, start: &str, server: &Server, answers: &[Exchange]) {
    ready(server).await;
    let mut report = String::new();
    for exchange in answers {
        let wrong = differences(&exchange.answer, &answer(server, exchange).await);
        if wrong.is_empty() {
            continue;
        }
        let Exchange { name, method, path, body, .. } = exchange;
        let _ = writeln!(report, "\n{name}: {method} {path}");
        if let Some(body) = body {
            let _ = writeln!(report, "  with {body}");
        }
        for line in wrong.iter().take(SHOWN) {
            let _ = writeln!(report, "  {line}");
        }
        if wrong.len() > SHOWN {
            let _ = writeln!(report, "  and {} more differences", wrong.len() - SHOWN);
        }
    }
    assert!(
        report.is_empty(),
        "{engine} of the released binary answers otherwise after {start} start:\n{report}"
    );
}

async fn ready(server: &Server) {
    let until = Instant::now() + PATIENCE;
    loop {
        let asked = http().get(format!("{}/health/ready", server.url)).bearer_auth(KEY).send().await.unwrap();
        let (works, report) = (asked.status().is_success(), asked.text().await.unwrap());
        if works {
            return;
        }
        assert!(Instant::now() < until, "the memory of the released binary does not become ready: {report}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The answer to a request, with its status and the headers that are compared.
async fn answer(server: &Server, exchange: &Exchange) -> Value {
    let method = exchange.method.parse().unwrap();
    let mut request = http().request(method, format!("{}{}", server.url, exchange.path)).bearer_auth(KEY);
    for (name, value) in exchange.headers.iter().flatten() {
        request = request.header(name, value.as_str().unwrap());
    }
    if let Some(body) = &exchange.body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let mut headers = serde_json::Map::new();
    for (name, value) in answer.headers() {
        headers.insert(name.to_string(), value.to_str().unwrap_or_default().into());
    }
    let body: Value = answer.json().await.unwrap();
    json!({"status": status, "headers": headers, "body": body})
}

/// A memory of the released binary takes new messages.
async fn takes_more(server: &Server) {
    let session = json!({"group_id": "demo", "session_id": "trip", "user_id": ["ann"], "agent_id": []});
    let body =
        json!({"session": session, "producer": "ann", "episode_content": "The umbrella was found in Porto."});
    let stored = http().post(format!("{}/v1/memories", server.url)).bearer_auth(KEY).json(&body);
    let stored = stored.send().await.unwrap();
    assert_eq!(stored.status(), 200, "{}", stored.text().await.unwrap());
    let body = json!({"session": session, "query": "umbrella found in Porto", "limit": 1});
    let found =
        http().post(format!("{}/v1/memories/search?shape=list", server.url)).bearer_auth(KEY).json(&body);
    let found: Value = found.send().await.unwrap().json().await.unwrap();
    assert_eq!(found[0]["content"], "The umbrella was found in Porto.", "{found}");
}

/// What differs, a line for each place. Objects may have gained fields; lists are compared item by item.
fn differences(recorded: &Value, found: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    differ("", recorded, found, &mut wrong);
    wrong
}

fn differ(place: &str, recorded: &Value, found: &Value, wrong: &mut Vec<String>) {
    match (recorded, found) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, old) in old {
                let place = format!("{place}.{name}");
                match new.get(name) {
                    None => wrong.push(format!("{place}: was {old}, is missing")),
                    Some(new) if SCORES.contains(&name.as_str()) && is_near(old, new) => {}
                    Some(new) => differ(&place, old, new, wrong),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            if old.len() != new.len() {
                wrong.push(format!("{place}: had {} items, has {}", old.len(), new.len()));
            }
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                differ(&format!("{place}[{at}]"), old, new, wrong);
            }
        }
        (old, new) if old == new => {}
        (old, new) => wrong.push(format!("{place}: was {old}, is {new}")),
    }
}

fn is_near(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_f64(), new.as_f64()) else { return false };
    (old - new).abs() <= SCORE_TOLERANCE
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
