//! The largest requests within the limits, one after the other, and what others wait meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::others::{KEY, ask, request, send, share};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target};
use crate::bench::server::Server;
use crate::bench::texts;
use crate::steps::say;

/// Others are watched beside each kind of request for at least so long, and until one of it has ended.
const WATCHED: Duration = Duration::from_secs(5);
/// The messages of the session that is deleted.
const SESSION: usize = 20_000;

/// A kind of large request: what prepares it, and the request itself.
struct Large {
    name: &'static str,
    prepares: Vec<String>,
    request: String,
}

fn post(path: &str, body: &serde_json::Value) -> String {
    request("POST", path, &body.to_string())
}

fn batch(group: &str, texts: impl Iterator<Item = String>) -> String {
    let episodes: Vec<_> = texts.map(|text| json!({"episode_content": text})).collect();
    post(
        "/v1/memories/batch",
        &json!({"session": {"group_id": group, "session_id": "s"}, "episodes": episodes}),
    )
}

/// About so many bytes of plain text.
fn plain(bytes: usize) -> String {
    (0..bytes)
        .map(texts::message)
        .scan(0, |sum, text| {
            *sum += text.len() + 1;
            (*sum < bytes).then_some(text)
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn all() -> Vec<Large> {
    let mebibyte = plain(1 << 20);
    let long = |group: &str| batch(group, std::iter::repeat_n(mebibyte.clone(), 7));
    let short = |group: &str| batch(group, (0..1_000).map(texts::message));
    let body = |body: serde_json::Value| post("/v1/memories", &body);
    let session = json!({"group_id": "large", "session_id": "s"});
    let filled: Vec<_> = (0..SESSION / 1_000).map(|_| short("deleted")).collect();
    let many_values = json!({"session": session, "episode_content": "tea", "metadata": {"x": vec![0; 900]}});
    vec![
        Large { name: "a batch of 7 MiB", prepares: vec![], request: long("large") },
        Large { name: "a batch of 1,000 messages", prepares: vec![], request: short("large") },
        Large {
            name: "a message of 1 MiB",
            prepares: vec![],
            request: body(json!({"session": session, "episode_content": mebibyte})),
        },
        Large {
            name: "a message of 1 MiB of the letter y",
            prepares: vec![],
            request: body(json!({"session": session, "episode_content": "y".repeat(1 << 20)})),
        },
        Large { name: "metadata of 900 values", prepares: vec![], request: body(many_values) },
        Large {
            name: "a search with a question of 1 MiB",
            prepares: vec![],
            request: post(
                "/v1/memories/search",
                &json!({"session": session, "query": mebibyte, "limit": 1_000}),
            ),
        },
        Large {
            name: "a search with 1,000 results",
            prepares: vec![],
            request: post(
                "/v1/memories/search",
                &json!({"session": session, "query": "tea", "limit": 1_000}),
            ),
        },
        Large {
            name: "a page of 1,000 messages",
            prepares: vec![],
            request: request("GET", "/v1/memories?group_id=large&limit=1000", ""),
        },
        Large {
            name: "the deletion of a session of 20,000 messages",
            prepares: filled,
            request: request(
                "DELETE",
                "/v1/memories",
                &json!({"session": {"group_id": "deleted", "session_id": "s"}}).to_string(),
            ),
        },
    ]
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let data = tempfile::tempdir()?;
    let keys = [("MEMCLOUD_API_KEYS", KEY.to_owned()), ("MEMCLOUD_BODY_TIMEOUT", "600".to_owned())];
    let server = Server::start_on(bench, data.path(), &keys)?;
    let address = server.address;
    let small = json!({"group_id": "small", "session_id": "s"});
    let calls = [
        post("/v1/memories", &json!({"session": small, "episode_content": texts::message(1)})),
        post("/v1/memories/search", &json!({"session": small, "query": texts::question(1)})),
        request("GET", "/v1/memories?group_id=small&limit=10", ""),
    ];
    let mut figures = Vec::new();
    for Large { name, prepares, request } in all() {
        for prepares in &prepares {
            let (answer, _) = send(address, prepares)?;
            ensure!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
        }
        let began = Instant::now();
        let idle = ask(address, &calls, |_| began.elapsed() < WATCHED)?;
        let (ends, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (waited, longest) = std::thread::scope(|scope| {
            let sender = scope.spawn(|| -> Result<Duration> {
                let mut longest = Duration::ZERO;
                while !ends.load(Ordering::Relaxed) {
                    let (answer, took) = send(address, &request)?;
                    ensure!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer:.300}");
                    longest = longest.max(took);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                Ok(longest)
            });
            let began = Instant::now();
            let only_once = !prepares.is_empty();
            let waited = ask(address, &calls, |_| {
                !sender.is_finished()
                    && (sent.load(Ordering::Relaxed) == 0 || !only_once && began.elapsed() < WATCHED)
            });
            ends.store(true, Ordering::Relaxed);
            let longest = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            anyhow::Ok((waited?, longest))
        })?;
        let (all, idle_all) = ([waited.probes, waited.calls].concat(), [idle.probes, idle.calls].concat());
        let detail = format!(
            "{} requests, {:.1} ms at most; {} of these, {:.2} s at most; without them p99 {:.1} ms, {:.1} ms at most",
            all.len(),
            share(&all, 1.0 - 1e-9),
            sent.load(Ordering::Relaxed),
            longest.as_secs_f64(),
            share(&idle_all, 0.99),
            share(&idle_all, 1.0 - 1e-9),
        );
        let figure = Figure {
            name: format!("p99 of others beside {name}"),
            value: share(&all, 0.99),
            unit: "ms",
            target: Target::AtMost(200.0),
            detail,
        };
        say(&figure.row());
        figures.push(figure);
    }
    Ok(figures)
}
