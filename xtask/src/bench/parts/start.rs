use std::time::Instant;

use anyhow::{Result, ensure};

use super::{fill, search_request};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median};
use crate::bench::server::Server;
use crate::bench::texts;

const MESSAGES: usize = 5_000;
const STARTS: usize = 5;

/// CPU time from the start of the process to its first answered search.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let data = tempfile::tempdir()?;
    fill::fill(bench, data.path(), MESSAGES)?;
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    for number in 0..STARTS {
        let began = Instant::now();
        let server = Server::start(bench, data.path())?;
        let request = search_request(&texts::question(number));
        let hits = bench.wait(server.client()?.search(&request))?;
        ensure!(!hits.is_empty(), "the first search found nothing");
        wall.push(began.elapsed().as_secs_f64());
        cpu.push(server.cpu_seconds()?);
    }
    Ok(vec![Figure {
        name: format!("CPU from start to first search of {MESSAGES}"),
        value: median(cpu),
        unit: "s",
        target: Target::AtMost(0.4),
        detail: format!("{:.2} s by the clock, middle of {STARTS}", median(wall)),
    }])
}
