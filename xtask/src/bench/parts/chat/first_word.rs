//! How long the first word takes from the model through the server to the client. Model and client are both in this
//! process, so they share a clock.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memcloud_client::{ChatEvent, Client};
use serde_json::json;

use super::completions::Endpoint;
use super::{SENTENCE, Setup, chat_request, says};
use crate::bench::figures::{Figure, Target, millis, quantile};
use crate::bench::{Bench, texts};

const STREAMS: usize = 300;
const WARM: usize = 20;
const MOST_MILLIS: f64 = 5.0;

/// The model answers at once. This is the worst case: the server is storing the question at that time.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let setup = Setup::new(bench, says(Duration::ZERO, SENTENCE, Duration::from_millis(2)))?;
    let (client, endpoint) = (setup.server.client()?, Endpoint::at(setup.server.address)?);
    let (mut chats, mut completions) = (Vec::new(), Vec::new());
    for number in 0..WARM + STREAMS {
        let question = format!("{} (asked {number})", texts::question(number));
        let came = bench.wait(first_word(&client, &question))?;
        chats.push(late(&setup, came)?);
        let message = json!({"role": "user", "content": question});
        let request = json!({"model": "bench", "messages": [message], "stream": true});
        let came = bench.wait(endpoint.first_word(&request))?;
        completions.push(late(&setup, came)?);
    }
    let both = [("/v1/chat", chats), ("/v1/chat/completions", completions)];
    let figures = both.into_iter().flat_map(|(path, late)| {
        [(0.5, "p50"), (0.95, "p95")]
            .map(|(share, name)| figure(path, name, quantile(late[WARM..].to_vec(), share)))
    });
    Ok(figures.collect())
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

/// How long a word that came at this time took from the model, in milliseconds.
fn late(setup: &Setup, came: Instant) -> Result<f64> {
    let said = setup.last_call()?.answered.context("the model said nothing")?;
    Ok(millis(came.saturating_duration_since(said)))
}

/// Reads a chat to its end. Answers when its first word came.
async fn first_word(client: &Client, question: &str) -> Result<Instant> {
    let mut stream = client.chat_stream(&chat_request(question)).await?;
    let mut came = None;
    loop {
        match stream.next().await? {
            ChatEvent::Delta(said) if !said.is_empty() => {
                came.get_or_insert_with(Instant::now);
            }
            ChatEvent::Done(_) => return came.context("a stream without a word"),
            ChatEvent::Delta(_) | ChatEvent::Memories(_) => {}
        }
    }
}
