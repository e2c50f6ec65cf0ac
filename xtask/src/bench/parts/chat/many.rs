//! Many who talk at once: what they take of memory, and whether everyone gets all of it.

use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::{SENTENCE, Stand, TALK, talk_request};
use crate::bench::figures::{Figure, Target};
use crate::bench::http::Client;
use crate::bench::parts::GROUP;
use crate::bench::parts::chat::speaker::Manner;
use crate::bench::{Bench, texts};

const STREAMS: usize = 200;
const WORDS: usize = 200;
/// So slow that the first are still talking when the last begin.
const PAUSE: Duration = Duration::from_millis(60);
const WARM: usize = 40;
/// How often it is looked how large the server is.
const EVERY: Duration = Duration::from_millis(10);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let warm = Manner { latency: Duration::ZERO, pause: Duration::ZERO, words: SENTENCE, quotes: false };
    let stand = Stand::new(bench, warm)?;
    let mut client = stand.server.client()?;
    for number in 0..WARM {
        talk(&mut client, number)?;
    }
    stand.speaker.behave(Manner { latency: Duration::from_millis(300), pause: PAUSE, words: WORDS, ..warm });
    let before = stand.server.resident_bytes()?;
    let (most, failed) = all_at_once(&stand)?;
    let at_once = stand.speaker.most_streams();
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
            name: format!("{STREAMS} streams at once: not all said and stored"),
            value: failed.len() as f64,
            unit: "",
            target: Target::AtMost(0.0),
            detail: format!("{WORDS} words each; {why}"),
        },
    ])
}

/// The largest that the server was, in bytes, and what went wrong.
fn all_at_once(stand: &Stand) -> Result<(f64, Vec<anyhow::Error>)> {
    thread::scope(|scope| {
        let start = |number| {
            scope.spawn(move || {
                let mut client = stand.server.client()?;
                let said = talk(&mut client, WARM + number)?;
                ensure!(said.split(' ').count() == WORDS, "only this was said: {said}");
                Ok(())
            })
        };
        let streams: Vec<ScopedJoinHandle<'_, Result<()>>> = (0..STREAMS).map(start).collect();
        let mut most = stand.server.resident_bytes()?;
        while !streams.iter().all(ScopedJoinHandle::is_finished) {
            most = most.max(stand.server.resident_bytes()?);
            thread::sleep(EVERY);
        }
        let ends = streams
            .into_iter()
            .map(|stream| stream.join().unwrap_or_else(|_| Err(anyhow!("a client panicked"))));
        Ok((most, ends.filter_map(Result::err).collect()))
    })
}

/// One conversation to its end: what was said, which is also what was stored.
fn talk(client: &mut Client, number: usize) -> Result<String> {
    let question = format!("{} (asked {number})", texts::question(number));
    let (mut said, mut done) = (String::new(), None);
    client.events(TALK, &talk_request(&question, true), |event| {
        let (name, data) = event.split_once("\ndata: ").unwrap_or((event, ""));
        let data: Value = serde_json::from_str(data).unwrap_or_default();
        match name {
            "event: delta" => said.push_str(data["content"].as_str().unwrap_or_default()),
            "event: memories" => {}
            _ => done = Some(format!("{name} {data}")).zip(Some(data)),
        }
    })?;
    let (told, done) = done.context("a stream without an end")?;
    for (message, text) in [("user_message", &question), ("assistant_message", &said)] {
        let id = done[message].as_str().with_context(|| format!("not stored: {told}"))?;
        let stored = client.get(&format!("/v1/memories/{id}?group_id={GROUP}"))?;
        ensure!(stored["content"] == **text, "this was stored: {stored}");
    }
    Ok(said)
}
