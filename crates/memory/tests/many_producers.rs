//! Names are looked up: a search in a group with many producers costs what it costs with few. A process of its own, whose
//! processor time is measured, so that other programs do not count.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use memcloud_domain::{Filter, NewEpisode, Purpose, Space};
use memcloud_memory::{Limits, Memory, RankingWeights, SearchQuery, StoreRequest};
use memcloud_ports::InMemoryEngine;
use memcloud_store_tests::clock;
use rustix::time::{ClockId, clock_gettime};

const MESSAGES: usize = 100_000;

fn group(name: &str) -> Space {
    Space::new("universal", name)
}

async fn store(memory: &Memory, space: &Space, producers: usize) {
    let message = |n: usize| NewEpisode {
        session: "s".into(),
        content: "The cat sat on the mat.".into(),
        producer: format!("Customer {}", n % producers),
        produced_for: String::new(),
        role: "user".into(),
        kind: "message".into(),
        metadata: serde_json::Map::new(),
        created_at: None,
        purpose: Purpose::Recall,
    };
    for batch in 0..10 {
        let episodes = (batch * MESSAGES / 10..(batch + 1) * MESSAGES / 10).map(message).collect();
        let request = StoreRequest { space: space.clone(), members: vec![], episodes, idempotency_key: None };
        memory.store(request.checked(memory.limits()).unwrap()).await.unwrap();
    }
}

/// The processor time of the cheapest of some searches of each space.
async fn cheapest(memory: &Memory, text: &str, spaces: &[Space; 2]) -> [Duration; 2] {
    let now = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
    let mut cheapest = [Duration::MAX; 2];
    for _ in 0..25 {
        for (space, cheapest) in spaces.iter().zip(&mut cheapest) {
            let query =
                SearchQuery { space: space.clone(), text: text.into(), filter: Filter::default(), limit: 5 };
            let query = query.checked(memory.limits()).unwrap();
            let began = now();
            assert_eq!(memory.search(&query).await.unwrap().hits.len(), 5);
            *cheapest = now().saturating_sub(began).min(*cheapest);
        }
    }
    cheapest
}

#[tokio::test]
async fn a_search_among_a_hundred_thousand_producers_costs_what_it_costs_among_five() {
    let engine = InMemoryEngine::engine(clock());
    let (limits, weights) = (Limits::default(), RankingWeights::default());
    let memory = Memory::open(engine, None, clock(), limits, weights).await.unwrap();
    let spaces = [group("few"), group("many")];
    store(&memory, &spaces[0], 5).await;
    store(&memory, &spaces[1], MESSAGES).await;
    let long = "What did the people with the cats say about the 4711th parcel? ".repeat(130);
    for text in ["cats", "What did customer say?", &long] {
        let [few, many] = cheapest(&memory, text, &spaces).await;
        let ratio = many.as_secs_f64() / few.as_secs_f64();
        println!("{} bytes: {few:?} among 5 producers, {many:?} among {MESSAGES}", text.len());
        assert!(ratio <= 1.2, "{ratio:.2} times the cost for a query of {} bytes", text.len());
    }
}
