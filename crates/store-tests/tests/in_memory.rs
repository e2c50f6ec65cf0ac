//! The engine in memory does what every engine must do, so it can be the oracle for the others.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use memcloud_ports::InMemoryEngine;
use memcloud_store_tests::{clock, memory, oracle, records, revisions, run};
use proptest::prelude::*;

fn wait_for(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(test);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms() {
    run(|| async { InMemoryEngine::engine(clock()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_records_conform() {
    records::run(|| async { Arc::new(InMemoryEngine::new(clock())) as _ }).await;
}

proptest! {
    #[test]
    fn any_revisions_keep_facts_consistent(operations in revisions::operations()) {
        wait_for(revisions::any_revisions_keep_facts_consistent(InMemoryEngine::engine(clock()), operations));
    }

    #[test]
    fn index_equals_rebuild_after_any_history(history in memory::histories()) {
        wait_for(memory::index_equals_rebuild_after_any_history(InMemoryEngine::engine(clock()), history));
    }

    /// Two of them agree: the comparison itself is deterministic.
    #[test]
    fn answers_equal_the_oracle(operations in oracle::operations()) {
        wait_for(oracle::answers_equal_the_oracle(InMemoryEngine::engine(clock()), operations));
    }
}
