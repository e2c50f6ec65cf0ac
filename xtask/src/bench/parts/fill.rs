//! Fills a data directory through the engine itself, with made-up vectors: embedding 100,000 texts would take minutes
//! and would not change what a search costs.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use half::f16;
#[expect(clippy::disallowed_types, reason = "the benchmark fills a store as a server does")]
use memcloud_domain::{Clock, Episode, EpisodeId, Member, Metadata, Purpose, Space, SystemClock, Timestamp};
use memcloud_memory::Analysis;
use memcloud_ports::{Batch, Engine, Prepared};
use memcloud_store_sqlite::SqliteStore;

use super::{GROUP, SPEAKER};
use crate::bench::{Bench, texts};

const BATCH: usize = 1_000;

/// How many different numbers the messages have in their metadata: a filter on one keeps one message in a hundred.
pub(super) const LOTS: usize = 100;

/// Fills a data directory with `messages` in one space.
pub(super) fn fill(bench: &Bench, data: &Path, messages: usize) -> Result<()> {
    bench.wait(async {
        let store = Engine::of(Arc::new(SqliteStore::open(data, Arc::new(SystemClock)).await?));
        fill_store(&store, GROUP, messages, bench.model.dimensions()).await
    })
}

/// Fills a space of this engine with `messages`.
pub(super) async fn fill_store(
    store: &Engine,
    group: &str,
    messages: usize,
    dimensions: usize,
) -> Result<()> {
    let began = SystemClock.now();
    for start in (0..messages).step_by(BATCH) {
        let numbers = start..(start + BATCH).min(messages);
        let episodes = numbers.map(|number| prepared(group, number, began, dimensions)).collect();
        let sessions = vec![(GROUP.to_owned(), vec![Member::User(SPEAKER.to_owned())])];
        let batch = Batch {
            space: Space::new("universal", group),
            sessions,
            episodes,
            idempotency: None,
            intent: None,
        };
        store.episodes.append(batch).await?;
    }
    Ok(())
}

fn prepared(group: &str, number: usize, began: Timestamp, dimensions: usize) -> Prepared {
    let second = i64::try_from(number).unwrap_or_default();
    let created_at = Timestamp::from_micros(began.as_micros() + second * 1_000_000).unwrap_or(began);
    let episode = Episode {
        id: EpisodeId::new(began, 0),
        space: Space::new("universal", group),
        session: GROUP.into(),
        content: texts::message(number),
        producer: SPEAKER.into(),
        produced_for: SPEAKER.into(),
        role: String::new(),
        kind: "message".into(),
        metadata: Metadata::from_iter([("lot".to_owned(), (number % LOTS).into())]),
        created_at,
        ingested_at: began,
        purpose: Purpose::Recall,
    };
    Prepared {
        analysis: Analysis::of(&episode).encode(),
        vector: Some(unit_vector(number, dimensions)),
        episode,
        fact_targets: Vec::new(),
    }
}

/// A vector of length 1 in a direction of its own.
fn unit_vector(number: usize, dimensions: usize) -> Vec<f16> {
    let mut state = number as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..dimensions).map(|_| next()).collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.into_iter().map(|value| f16::from_f32(value / length)).collect()
}
