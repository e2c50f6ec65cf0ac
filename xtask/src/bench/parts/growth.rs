use anyhow::Result;

use super::{fill, search};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target};
use crate::bench::server::Server;

const STEPS: [(usize, f64); 3] = [(1_000, 1.0), (10_000, 1.5), (100_000, 6.0)];
const SEARCHES: usize = 300;

/// How a search grows with the number of messages in one space.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    STEPS.into_iter().map(|(messages, most)| step(bench, messages, most)).collect()
}

fn step(bench: &Bench, messages: usize, most: f64) -> Result<Figure> {
    let data = tempfile::tempdir()?;
    fill::fill(bench, data.path(), messages)?;
    let server = Server::start(bench, data.path())?;
    let (search, embedding) = search::searches(bench, &server.client()?, SEARCHES)?;
    let resident = server.resident_bytes()? / 1e6;
    Ok(Figure {
        name: format!("search {messages} messages, p50 less embedding"),
        value: search - embedding,
        unit: "ms",
        target: Target::AtMost(most),
        detail: format!("{search:.2} - {embedding:.2} ms; {resident:.0} MB resident"),
    })
}
