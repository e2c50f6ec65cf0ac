use std::time::Instant;

use anyhow::Result;

use super::{SPEAKER, store_request};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median, millis};
use crate::bench::server::Server;
use crate::bench::texts;

const MESSAGES: usize = 500;
const WARM: usize = 20;

/// Storing one message durably, with one client, without the time of its embedding.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let data = tempfile::tempdir()?;
    let server = Server::start(bench, data.path())?;
    let client = server.client()?;
    let (mut stores, mut embeddings) = (Vec::new(), Vec::new());
    for number in 0..WARM + MESSAGES {
        let text = texts::message(number);
        let (_, took) = bench.timed(client.store(&store_request(&text)))?;
        let began = Instant::now();
        std::hint::black_box(bench.model.embed_one(&format!("{SPEAKER}: {text}")));
        let embedding = began.elapsed();
        if number >= WARM {
            stores.push(millis(took));
            embeddings.push(millis(embedding));
        }
    }
    let (store, embedding) = (median(stores), median(embeddings));
    Ok(vec![Figure {
        name: "store one message, p50 less embedding".into(),
        value: store - embedding,
        unit: "ms",
        target: Target::AtMost(2.0),
        detail: format!("{store:.2} - {embedding:.2} ms over {MESSAGES}"),
    }])
}
