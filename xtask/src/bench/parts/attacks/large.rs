//! The largest requests within the limits, one after the other, and what others wait meanwhile.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::others::{KEY, request, send, share};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, millis};
use crate::bench::server::Server;
use crate::bench::texts;
use crate::steps::say;

/// Others are watched beside each kind of request for at least so long, and until one of it has ended.
const WATCHED: Duration = Duration::from_secs(5);
/// The pause of a caller between two requests.
const BETWEEN: Duration = Duration::from_millis(2);
/// The messages of the sessions that are deleted: short ones, and those of 1 MiB.
const SESSION: usize = 20_000;
const LARGE_SESSION: usize = 140;

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
    let filled_with_large: Vec<_> = (0..LARGE_SESSION / 7).map(|_| long("deleted")).collect();
    let deletes = json!({"session": {"group_id": "deleted", "session_id": "s"}}).to_string();
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
            request: request("DELETE", "/v1/memories", &deletes),
        },
        Large {
            name: "the deletion of 140 messages of 1 MiB",
            prepares: filled_with_large,
            request: request("DELETE", "/v1/memories", &deletes),
        },
    ]
}

/// What small requests waited, in milliseconds.
#[derive(Default)]
struct Waited {
    stores: Vec<f64>,
    searches: Vec<f64>,
}

/// Stores and searches by turns, each on a connection of its own, as long as `goes_on` says so.
fn ask(address: SocketAddr, mut goes_on: impl FnMut() -> bool) -> Result<Waited> {
    let small = json!({"group_id": "small", "session_id": "s"});
    let mut waited = Waited::default();
    for number in 0.. {
        if !goes_on() {
            break;
        }
        let store = json!({"session": small, "episode_content": texts::message(number)});
        let search = json!({"session": small, "query": format!("{number}: {}", texts::question(number))});
        for (path, body, times) in [
            ("/v1/memories", store, &mut waited.stores),
            ("/v1/memories/search", search, &mut waited.searches),
        ] {
            let (answer, took) = send(address, &post(path, &body))?;
            ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            times.push(millis(took));
        }
        std::thread::sleep(BETWEEN);
    }
    Ok(waited)
}

pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = beside_all(bench, true)?;
    figures.extend(beside_all(bench, false)?);
    Ok(figures)
}

fn beside_all(bench: &Bench, has_model: bool) -> Result<Vec<Figure>> {
    let data = tempfile::tempdir()?;
    let keys = [("MEMCLOUD_API_KEYS", KEY.to_owned()), ("MEMCLOUD_BODY_TIMEOUT", "600".to_owned())];
    let server = Server::start_with(bench, data.path(), &keys, has_model)?;
    let address = server.address;
    let began = Instant::now();
    let idle = ask(address, || began.elapsed() < WATCHED)?;
    let with = if has_model { "with" } else { "without" };
    say(&format!("{with} the model, idle: {}", idle.summary()));
    let mut figures = Vec::new();
    // No model takes part in a deletion, and would only delay the messages before it.
    let all = all().into_iter().filter(|large| bench.wants(large.name));
    for large in all.filter(|large| large.prepares.is_empty() || !has_model) {
        let (waited, detail) =
            beside(address, &large).with_context(|| format!("{} {with} the model", large.name))?;
        let detail = format!("{}; {detail}", waited.summary());
        for (kind, times) in [("stores", &waited.stores), ("searches", &waited.searches)] {
            figures.push(Figure {
                name: format!("p99 of {kind} beside {}, {with} the model", large.name),
                value: share(times, 0.99),
                unit: "ms",
                target: Target::AtMost(200.0),
                detail: detail.clone(),
            });
        }
    }
    Ok(figures)
}

/// What others wait while such a request runs again and again, and how many of it ran.
fn beside(address: SocketAddr, large: &Large) -> Result<(Waited, String)> {
    let send_large = |request: &str| {
        let (answer, took) = send(address, request)?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer:.300}");
        Ok(took)
    };
    for request in &large.prepares {
        send_large(request)?;
    }
    let (ends, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| -> Result<Duration> {
            let mut longest = Duration::ZERO;
            while !ends.load(Ordering::Relaxed) {
                longest = longest.max(send_large(&large.request)?);
                sent.fetch_add(1, Ordering::Relaxed);
            }
            Ok(longest)
        });
        let (began, only_once) = (Instant::now(), !large.prepares.is_empty());
        let waited = ask(address, || {
            let is_watched = !only_once && began.elapsed() < WATCHED;
            !sender.is_finished() && (sent.load(Ordering::Relaxed) == 0 || is_watched)
        });
        ends.store(true, Ordering::Relaxed);
        let longest = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let sent = sent.load(Ordering::Relaxed);
        Ok((waited?, format!("{sent} large ones, {:.2} s at most", longest.as_secs_f64())))
    })
}

impl Waited {
    fn summary(&self) -> String {
        let of = |times: &[f64]| {
            let [p50, p99, most] = [0.5, 0.99, 1.0 - 1e-9].map(|part| share(times, part));
            format!("p50 {p50:.1}, p99 {p99:.1}, at most {most:.1} ms of {}", times.len())
        };
        format!("stores {}; searches {}", of(&self.stores), of(&self.searches))
    }
}
