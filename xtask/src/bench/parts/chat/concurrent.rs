//! Many chats at once: the memory they take, and whether every answer arrives and is stored whole.

use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::{CHAT, SENTENCE, Setup, chat_request};
use crate::bench::figures::{Figure, Target};
use crate::bench::http::Client;
use crate::bench::parts::GROUP;
use crate::bench::parts::chat::scripted_model::Script;
use crate::bench::{Bench, texts};

const STREAMS: usize = 200;
const WORDS: usize = 200;
/// Slow enough that the first streams are still open when the last begin.
const PAUSE: Duration = Duration::from_millis(60);
const WARM: usize = 40;
/// How often the server's memory is measured.
const EVERY: Duration = Duration::from_millis(10);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let warm = Script { latency: Duration::ZERO, pause: Duration::ZERO, words: SENTENCE, quotes: false };
    let setup = Setup::new(bench, warm)?;
    let client = setup.server.client();
    for number in 0..WARM {
        chat(&client, number)?;
    }
    setup.model.follow(Script { latency: Duration::from_millis(300), pause: PAUSE, words: WORDS, ..warm });
    let before = setup.server.resident_bytes()?;
    let (most, failed) = all_at_once(&setup)?;
    let at_once = setup.model.most_streams();
    ensure!(at_once == STREAMS, "only {at_once} of {STREAMS} streams were open at once");
    let why = failed.first().map(|error| format!("the first: {error:#}")).unwrap_or_default();
    Ok(vec![
        Figure {
            name: format!("{STREAMS} streams at once: memory more"),
            value: (most - before) / 1e6,
            unit: "MB",
            target: Target::AtMost(100.0),
            detail: format!("{:.0} MB before, {:.0} MB at most", before / 1e6, most / 1e6),
        },
        Figure {
            name: format!("{STREAMS} streams at once: incomplete answers"),
            value: failed.len() as f64,
            unit: "",
            target: Target::AtMost(0.0),
            detail: format!("{WORDS} words each; {why}"),
        },
    ])
}

/// The server's largest resident memory, in bytes, and what failed.
fn all_at_once(setup: &Setup) -> Result<(f64, Vec<anyhow::Error>)> {
    thread::scope(|scope| {
        let start = |number| {
            scope.spawn(move || {
                let client = setup.server.client();
                let said = chat(&client, WARM + number)?;
                ensure!(said.split(' ').count() == WORDS, "the answer is incomplete: {said}");
                Ok(())
            })
        };
        let streams: Vec<ScopedJoinHandle<'_, Result<()>>> = (0..STREAMS).map(start).collect();
        let mut most = setup.server.resident_bytes()?;
        while !streams.iter().all(ScopedJoinHandle::is_finished) {
            most = most.max(setup.server.resident_bytes()?);
            thread::sleep(EVERY);
        }
        let ends = streams
            .into_iter()
            .map(|stream| stream.join().unwrap_or_else(|_| Err(anyhow!("a client panicked"))));
        Ok((most, ends.filter_map(Result::err).collect()))
    })
}

/// Runs one chat to its end. Answers what the model said, after checking that it is stored.
fn chat(client: &Client, number: usize) -> Result<String> {
    let question = format!("{} (asked {number})", texts::question(number));
    let (mut said, mut done) = (String::new(), None);
    client.events(CHAT, &chat_request(&question, true), |event| {
        let (name, data) = event.split_once("\ndata: ").unwrap_or((event, ""));
        let data: Value = serde_json::from_str(data).unwrap_or_default();
        match name {
            "event: delta" => said.push_str(data["content"].as_str().unwrap_or_default()),
            "event: memories" => {}
            _ => done = Some(format!("{name} {data}")).zip(Some(data)),
        }
    })?;
    let (event, done) = done.context("a stream without an end")?;
    for (message, text) in [("user_message", &question), ("assistant_message", &said)] {
        let id = done[message].as_str().with_context(|| format!("not stored: {event}"))?;
        let stored = client.get(&format!("/v1/memories/{id}?group_id={GROUP}"))?;
        ensure!(stored["content"] == **text, "something else was stored: {stored}");
    }
    Ok(said)
}
