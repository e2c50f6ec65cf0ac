//! How long the first word is on its way from the model through the server to the client. The model and the client are
//! both in this process, and so on one clock.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{SENTENCE, Stand, TALK, talk_request};
use crate::bench::figures::{Figure, Target, millis, quantile};
use crate::bench::http::Client;
use crate::bench::parts::GROUP;
use crate::bench::parts::chat::speaker::Manner;
use crate::bench::{Bench, texts};

const COMPLETIONS: &str = "/v1/chat/completions";
const STREAMS: usize = 300;
const WARM: usize = 20;
const MOST_MILLIS: f64 = 5.0;

/// The model speaks at once: the worst case, since the server stores the question at that time.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let manner =
        Manner { latency: Duration::ZERO, pause: Duration::from_millis(2), words: SENTENCE, quotes: false };
    let stand = Stand::new(bench, manner)?;
    let mut client = stand.server.client()?.with_header("x-memory-group", GROUP);
    let mut late = [(TALK, Vec::new()), (COMPLETIONS, Vec::new())];
    for number in 0..WARM + STREAMS {
        for (path, late) in &mut late {
            let took = first_word(&stand, &mut client, path, number)?;
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

fn first_word(stand: &Stand, client: &mut Client, path: &str, number: usize) -> Result<Duration> {
    let question = format!("{} (asked {number})", texts::question(number));
    let request = match path {
        TALK => talk_request(&question, true),
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
    Ok(came.saturating_duration_since(stand.speaker.last()?.spoke))
}

/// What an event of either endpoint says.
fn word(event: &str) -> String {
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    let said = data["content"].as_str().or(data["choices"][0]["delta"]["content"].as_str());
    said.unwrap_or_default().to_owned()
}
