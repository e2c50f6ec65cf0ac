//! How long the first word takes from the model through the server to the client. Model and client are both in this
//! process, so they share a clock.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{CHAT, SENTENCE, Setup, chat_request};
use crate::bench::figures::{Figure, Target, millis, quantile};
use crate::bench::http::Client;
use crate::bench::parts::GROUP;
use crate::bench::parts::chat::scripted_model::Script;
use crate::bench::{Bench, texts};

const COMPLETIONS: &str = "/v1/chat/completions";
const STREAMS: usize = 300;
const WARM: usize = 20;
const MOST_MILLIS: f64 = 5.0;

/// The model answers at once. This is the worst case: the server is storing the question at that time.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let script =
        Script { latency: Duration::ZERO, pause: Duration::from_millis(2), words: SENTENCE, quotes: false };
    let setup = Setup::new(bench, script)?;
    let client = setup.server.client().with_header("x-memory-group", GROUP);
    let mut late = [(CHAT, Vec::new()), (COMPLETIONS, Vec::new())];
    for number in 0..WARM + STREAMS {
        for (path, late) in &mut late {
            let took = first_word(&setup, &client, path, number)?;
            if number >= WARM {
                late.push(millis(took));
            }
        }
    }
    let late = late.into_iter().flat_map(|(path, late)| {
        [(0.5, "p50"), (0.95, "p95")].map(|(share, name)| figure(path, name, quantile(late.clone(), share)))
    });
    Ok(late.collect())
}

fn figure(path: &str, quantile: &str, value: f64) -> Figure {
    Figure {
        name: format!("first word through {path}, {quantile}"),
        value,
        unit: "ms",
        target: Target::AtMost(MOST_MILLIS),
        detail: format!("{STREAMS} streams"),
    }
}

fn first_word(setup: &Setup, client: &Client, path: &str, number: usize) -> Result<Duration> {
    let question = format!("{} (asked {number})", texts::question(number));
    let request = match path {
        CHAT => chat_request(&question, true),
        _ => json!({"model": "bench", "messages": [{"role": "user", "content": question}], "stream": true}),
    };
    let mut came = None;
    client.events(path, &request, |event| {
        let now = Instant::now();
        if came.is_none() && !word(event).is_empty() {
            came = Some(now);
        }
    })?;
    let came = came.context("a stream without a word")?;
    Ok(came.saturating_duration_since(setup.model.last()?.answered))
}

/// The text in an event of either endpoint.
fn word(event: &str) -> String {
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    let said = data["content"].as_str().or(data["choices"][0]["delta"]["content"].as_str());
    said.unwrap_or_default().to_owned()
}
