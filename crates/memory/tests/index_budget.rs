//! The memory that ranking indexes take is what they count. A process of its own: what others allocate would be counted too.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "a test that cannot go on has failed; it starts the clock"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use memcloud_domain::{Filter, NewEpisode, Space, SystemClock};
use memcloud_memory::{Limits, Memory, RankingWeights, SearchQuery, StoreRequest};
use memcloud_ports::InMemoryEngine;

const BUDGET: usize = 6 << 20;
/// Groups of one message: about three times the budget.
const SMALL: usize = 5_000;
/// Groups whose sessions and kinds have the longest names: more than the budget.
const LONG: usize = 20;

/// What was allocated and is resident. Pages of the program that are read for the first time do not count.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1_024
}

fn group(name: &str) -> Space {
    Space::new("universal", name)
}

async fn store(memory: &Memory, space: &Space, messages: usize, name: impl Fn(usize) -> String) {
    let episode = |n: usize| NewEpisode {
        session: name(n),
        content: format!("message {n} about tea and the garden"),
        producer: "ann".into(),
        produced_for: String::new(),
        role: "user".into(),
        kind: name(n),
        metadata: serde_json::Map::new(),
        created_at: None,
        purpose: memcloud_domain::Purpose::Recall,
    };
    let episodes = (0..messages).map(episode).collect();
    let request = StoreRequest { space: space.clone(), members: vec![], episodes, idempotency_key: None };
    memory.store(request.checked(memory.limits()).unwrap()).await.unwrap();
}

async fn search(memory: &Memory, space: Space) {
    let query = SearchQuery { space, text: "who drinks tea?".into(), filter: Filter::default(), limit: 5 };
    assert!(!memory.search(&query.checked(memory.limits()).unwrap()).await.unwrap().hits.is_empty());
}

#[tokio::test]
async fn indexes_stay_within_their_budget_and_searches_as_fast() {
    let engine = InMemoryEngine::engine(Arc::new(SystemClock));
    let limits = Limits { index_bytes: BUDGET, ..Limits::default() };
    let weights = RankingWeights::default();
    let memory = Memory::open(engine, None, Arc::new(SystemClock), limits, weights).await.unwrap();
    for n in 0..SMALL {
        store(&memory, &group(&n.to_string()), 1, |_| "s".into()).await;
    }
    for n in 0..LONG {
        store(&memory, &group(&format!("long {n}")), 300, |m| format!("{m:01000}")).await;
    }
    let before = resident();
    let mut quarters = vec![];
    for quarter in 0..4 {
        let since = Instant::now();
        for n in 0..SMALL / 4 {
            search(&memory, group(&(quarter * SMALL / 4 + n).to_string())).await;
        }
        quarters.push(since.elapsed());
    }
    for n in 0..LONG {
        search(&memory, group(&format!("long {n}"))).await;
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < BUDGET * 3 / 2, "{grown} bytes for a budget of {BUDGET}");
    assert!(grown > BUDGET / 2, "the budget is used: {grown} bytes of {BUDGET}");
    let (first, last): (Duration, Duration) = (quarters[0], quarters[3]);
    assert!(last < first * 3, "a search must not slow down where indexes are dropped: {quarters:?}");
}
