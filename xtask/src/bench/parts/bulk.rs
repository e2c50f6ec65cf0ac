use std::time::Instant;

use anyhow::Result;
use serde_json::json;

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
    let server = Server::start(data.path(), &bench.model_dir)?;
    let client = server.client();
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for number in 0..BATCHES {
        let messages: Vec<String> = (number * BATCH..(number + 1) * BATCH).map(texts::message).collect();
        let request = json!({"session": session(), "episodes": messages.iter().map(|m| episode(m)).collect::<Vec<_>>()});
        let (_, took) = client.post("/v1/memories/batch", &request)?;
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
