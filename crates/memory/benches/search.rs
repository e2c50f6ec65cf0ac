//! A search over an engine in RAM: parsing, the filter and ranking, with vectors of a bag of words.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot begin shall say why")]

use std::sync::Arc;

use divan::Bencher;
use memcloud_domain::{Attribute, Filter, Member, Scalar, Space};
use memcloud_memory::{Checked, Limits, Memory, RankingWeights, SearchQuery, SessionMembers, StoreRequest};
use memcloud_ports::InMemoryEngine;
use memcloud_store_tests::{BagOfWords, clock, said, space};
use serde_json::json;
use tokio::runtime::Runtime;

/// Messages of one space.
const SIZES: [usize; 2] = [1_000, 10_000];
/// Messages of one store.
const BATCH: usize = 1_000;
/// A filter on the lot of a message keeps one message in this many.
const LOTS: usize = 100;
const WORDS: [&str; 16] = [
    "harbor", "window", "garden", "letter", "mountain", "kettle", "bridge", "violin", "forest", "lantern",
    "market", "river", "ticket", "blanket", "compass", "orchard",
];

fn main() {
    divan::main();
}

/// A message with words that its number chooses.
fn text(number: usize) -> String {
    let word = |step: usize| WORDS[(number / WORDS.len().pow(step as u32 % 3) + step * 5) % WORDS.len()];
    format!("Yesterday the {} by the {} reminded me of a {} number {number}.", word(0), word(1), word(2))
}

async fn filled(size: usize) -> Memory {
    let (engine, embedder) = (InMemoryEngine::engine(clock()), Arc::new(BagOfWords));
    let opened = Memory::open(engine, Some(embedder), clock(), Limits::default(), RankingWeights::default());
    let memory = opened.await.unwrap();
    for numbers in (0..size).collect::<Vec<_>>().chunks(BATCH) {
        let episodes = numbers.iter().map(|number| {
            let mut message = said("session", ["ann", "bob"][number % 2], &text(*number));
            message.metadata.insert("lot".into(), json!(number % LOTS));
            message
        });
        let members = vec![Member::User("ann".into()), Member::User("bob".into())];
        let members = vec![SessionMembers { session: "session".into(), members }];
        let (episodes, idempotency_key) = (episodes.collect(), None);
        let request = StoreRequest { space: bench_space(), members, episodes, idempotency_key };
        memory.store(request.checked(memory.limits()).unwrap()).await.unwrap();
    }
    memory
}

fn bench_space() -> Space {
    space("bench")
}

fn query(filter: Filter) -> Checked<SearchQuery> {
    let text = "When did Ann speak of the violin by the river?".into();
    let query = SearchQuery { space: bench_space(), text, filter, limit: 10 };
    query.checked(&Limits::default()).unwrap()
}

fn searches(bencher: Bencher<'_, '_>, size: usize, filter: &Filter) {
    let runtime = Runtime::new().unwrap();
    let memory = runtime.block_on(filled(size));
    let query = query(filter.clone());
    runtime.block_on(memory.search(&query)).unwrap();
    bencher.bench_local(|| runtime.block_on(memory.search(&query)).unwrap());
}

#[divan::bench(args = SIZES)]
fn ranking(bencher: Bencher<'_, '_>, size: usize) {
    searches(bencher, size, &Filter::default());
}

#[divan::bench(args = SIZES)]
fn filter_of_one_percent(bencher: Bencher<'_, '_>, size: usize) {
    let lot = Scalar::of(&json!(7)).unwrap();
    searches(bencher, size, &Filter::equal(Attribute::Metadata(vec!["lot".into()]), lot));
}
