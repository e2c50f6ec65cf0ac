use std::time::Instant;

use anyhow::Result;
use memcloud_api::memmachine_v1::Batch;

use super::{SPEAKER, episode, session};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median};
use crate::bench::server::Server;
use crate::bench::texts;

const BATCH: usize = 100;
const BATCHES: usize = 40;

/// Batches of 100 over HTTP compared with embedding the same texts alone, alternating.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let data = tempfile::tempdir()?;
    let server = Server::start(bench, data.path())?;
    let client = server.client()?;
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for number in 0..BATCHES {
        let messages: Vec<String> = (number * BATCH..(number + 1) * BATCH).map(texts::message).collect();
        let episodes = messages.iter().map(|message| episode(message)).collect();
        let batch = Batch { session: Some(session()), episodes };
        let (_, took) = bench.timed(client.store_batch(&number.to_string(), &batch))?;
        let passages: Vec<String> = messages.iter().map(|message| format!("{SPEAKER}: {message}")).collect();
        let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
        let began = Instant::now();
        std::hint::black_box(bench.model.embed(&passages));
        let alone = began.elapsed();
        ratios.push(alone.as_secs_f64() / took.as_secs_f64());
        rates.push(BATCH as f64 / took.as_secs_f64());
    }
    Ok(vec![Figure {
        name: "bulk import / embedding alone".into(),
        value: median(ratios),
        unit: "",
        target: Target::AtLeast(0.8),
        detail: format!("{:.0} messages/s in batches of {BATCH}", median(rates)),
    }])
}
