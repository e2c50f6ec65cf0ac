use std::sync::Arc;

use memcloud_domain::{
    Clock, Episode, EpisodeId, Member, NewEpisode, Purpose, Space, SystemClock, Timestamp,
};
use memcloud_memory::Analysis;
use memcloud_ports::{Batch, Prepared};
use serde_json::json;

/// The clock that engines under test get.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// A space for tests.
pub fn space(name: &str) -> Space {
    Space::new("universal", name)
}

/// Minute `n` of the time in which tests happen.
pub(crate) fn minute(n: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + n * 60_000_000).unwrap()
}

/// A message for [`Memory::store`](memcloud_memory::Memory::store).
pub fn said(session: &str, producer: &str, content: &str) -> NewEpisode {
    NewEpisode {
        session: session.into(),
        content: content.into(),
        producer: producer.into(),
        produced_for: String::new(),
        role: String::new(),
        kind: "message".into(),
        metadata: serde_json::Map::new(),
        created_at: None,
        purpose: Purpose::Recall,
    }
}

/// Episode number `n` of a session, with everything set that an engine must keep.
pub fn episode(space: &Space, session: &str, n: i64) -> Episode {
    let metadata =
        json!({"n": n, "text": "é 東京 'quoted' \"twice\" \\ 🎈", "deep": {"list": [1, null, true]}});
    Episode {
        id: EpisodeId::new(minute(n), 0),
        space: space.clone(),
        session: session.into(),
        content: format!("Message {n} of {session}: naïve café, 'x'; DROP TABLE episodes; -- 🎈"),
        producer: format!("producer-{}", n % 3),
        produced_for: "someone".into(),
        role: "user".into(),
        kind: "message".into(),
        metadata: metadata.as_object().unwrap().clone(),
        created_at: minute(n),
        ingested_at: minute(n + 1),
        purpose: Purpose::Recall,
    }
}

/// A batch of these episodes with small vectors.
pub(crate) fn batch(episodes: Vec<Episode>) -> Batch {
    let space = episodes[0].space.clone();
    let session = episodes[0].session.clone();
    let prepared = episodes.into_iter().map(|episode| Prepared {
        vector: Some([0.6, 0.8].map(half::f16::from_f32).to_vec()),
        analysis: Analysis::of(&episode).encode(),
        episode,
        fact_targets: Vec::new(),
    });
    Batch {
        space,
        sessions: vec![(session, vec![Member::User("ann".into()), Member::Agent("bot".into())])],
        episodes: prepared.collect(),
        idempotency: None,
        intent: None,
    }
}

pub(crate) fn some_episodes(space: &Space, session: &str, numbers: std::ops::Range<i64>) -> Vec<Episode> {
    numbers.map(|n| episode(space, session, n)).collect()
}
