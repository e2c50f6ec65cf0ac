use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memcloud_api::PrefixedId;
use serde_json::json;

use super::{search_request, store_request};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median, millis};
use crate::bench::server::Server;
use crate::bench::texts;
use crate::steps::say;

/// Requests per second: half stores and deletions, by turns, and half searches.
const RATE: u32 = 40;
/// The number of messages, which stays the same.
const MESSAGES: usize = 2_000;
/// Resident memory is compared from here on: caches and indexes are filled by then.
const WARM: Duration = Duration::from_mins(2);

/// Resident memory over time, under a constant load and with a constant number of messages.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let data = tempfile::tempdir()?;
    let server = Server::start(bench, data.path())?;
    let client = server.client()?;
    let mut stored = VecDeque::with_capacity(MESSAGES);
    let mut number = 0;
    let mut store = |stored: &mut VecDeque<PrefixedId>| -> Result<Duration> {
        let (answer, took) = bench.timed(client.store(&store_request(&texts::message(number))))?;
        number += 1;
        stored.push_back(answer.id);
        Ok(took)
    };
    while stored.len() < MESSAGES {
        store(&mut stored)?;
    }
    let minutes = Duration::from_mins(bench.args.minutes);
    let (began, mut resident, mut times) = (Instant::now(), Vec::new(), [const { Vec::new() }; 2]);
    let mut minute = 0;
    for request in 0.. {
        std::thread::sleep((Duration::from_secs(1) / RATE * request).saturating_sub(began.elapsed()));
        let at = began.elapsed();
        if at >= minutes {
            break;
        }
        match request % 4 {
            0 => times[0].push(millis(store(&mut stored)?)),
            1 => {
                let oldest = stored.pop_front().context("there are messages")?;
                bench.wait(client.delete(super::GROUP, oldest))?;
            }
            _ => {
                let question = search_request(&texts::message(request as usize));
                times[1].push(millis(bench.timed(client.search_all(&question))?.1));
            }
        }
        if at.as_secs() / 60 >= minute {
            minute += 1;
            let megabytes = server.resident_bytes()? / 1e6;
            say(&format!("soak, minute {}: {megabytes:.1} MB", minute - 1));
            if at >= WARM {
                resident.push(megabytes);
            }
        }
    }
    let (first, last) = resident.first().zip(resident.last()).context("the soak ended before it was warm")?;
    let [stores, searches] = times.map(median);
    Ok(vec![Figure {
        name: "resident memory, end relative to the beginning".into(),
        value: last / first,
        unit: "x",
        target: Target::AtMost(1.1),
        detail: json!({
            "minutes": bench.args.minutes, "first_mb": first, "last_mb": last, "store_p50_ms": stores,
            "search_p50_ms": searches,
        })
        .to_string(),
    }])
}
