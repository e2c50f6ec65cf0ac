use std::time::Instant;

use anyhow::Result;
use memcloud_client::Client;

use super::{fill, search_request};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median, millis};
use crate::bench::server::Server;
use crate::bench::texts;

const MESSAGES: usize = 5_000;
const SEARCHES: usize = 1_000;
const WARM: usize = 20;

/// Searches over 5,000 messages, and the resident memory of the server after a thousand of them.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let data = tempfile::tempdir()?;
    fill::fill(bench, data.path(), MESSAGES)?;
    let server = Server::start(bench, data.path())?;
    let (search, embedding) = searches(bench, &server.client()?, SEARCHES)?;
    let resident = server.resident_bytes()?;
    Ok(vec![
        Figure {
            name: format!("search {MESSAGES} messages, p50 less embedding"),
            value: search - embedding,
            unit: "ms",
            target: Target::AtMost(2.0),
            detail: format!("{search:.2} - {embedding:.2} ms over {SEARCHES}, limit 10"),
        },
        Figure {
            name: format!("resident memory after {SEARCHES} searches of {MESSAGES}"),
            value: resident / 1e6,
            unit: "MB",
            target: Target::AtMost(150.0),
            detail: String::new(),
        },
    ])
}

/// The median times of a search and of embedding its question, alternating.
pub(super) fn searches(bench: &Bench, client: &Client, count: usize) -> Result<(f64, f64)> {
    let (mut searches, mut embeddings) = (Vec::new(), Vec::new());
    for number in 0..WARM + count {
        // Each question is new: the server keeps the vectors of recent queries.
        let question = format!("{} (asked {number})", texts::question(number));
        let (_, took) = bench.timed(client.search(&search_request(&question)))?;
        let began = Instant::now();
        std::hint::black_box(bench.model.embed_one(&question));
        let embedding = began.elapsed();
        if number >= WARM {
            searches.push(millis(took));
            embeddings.push(millis(embedding));
        }
    }
    Ok((median(searches), median(embeddings)))
}
