//! What is learned: see [`FactStore`], [`LearningQueue`] and [`UsageLedger`]. Whatever changes it locks the row of its space first, as stores and deletions do,
//! so that no citation outlives its episode; only taking on messages locks nothing but the subject.

pub(crate) mod facts;
mod queue;
pub(crate) mod subjects;
mod usage;

use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Error, FactId, Space, Timestamp};
use memcloud_ports::{
    Budget, Charge, ClaimedBatch, EmbeddedFact, FactStore, FactsOf, LearningQueue, Outcome, Parked, Queued,
    RevisionSet, Span, Trigger, Usage, UsageLedger, Waiting,
};

use crate::PostgresStore;

#[async_trait]
impl FactStore for PostgresStore {
    async fn revise(&self, lessons: &RevisionSet) -> Result<usize, Error> {
        let revise = |mut client| async move { retry_conflicts!(facts::revise(&mut client, lessons)) };
        self.run("revising what is known", revise).await
    }

    async fn facts(&self, of: &FactsOf) -> Result<Vec<EmbeddedFact>, Error> {
        self.run_idempotent("reading facts", |client| facts::of(client, of)).await
    }

    async fn all_facts(&self, after: Option<FactId>, limit: usize) -> Result<Vec<EmbeddedFact>, Error> {
        self.run_idempotent("reading facts", |client| facts::all(client, after, limit)).await
    }

    async fn put_facts(&self, facts: &[EmbeddedFact]) -> Result<(), Error> {
        let put = |mut client| async move { retry_conflicts!(facts::put(&mut client, facts)) };
        self.run_idempotent("keeping facts", put).await
    }

    async fn delete_fact(&self, space: &Space, id: FactId) -> Result<bool, Error> {
        self.run("deleting a fact", |client| facts::delete(client, space, id)).await
    }
}

#[async_trait]
impl LearningQueue for PostgresStore {
    async fn claim(
        &self,
        trigger: Trigger,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<ClaimedBatch>, Error> {
        let claim = |client| queue::claim(client, trigger, now, lease);
        self.run("taking on messages to learn from", claim).await
    }

    async fn learn(&self, assignment: &ClaimedBatch, lessons: &RevisionSet) -> Result<bool, Error> {
        let learn =
            |mut client| async move { retry_conflicts!(facts::learn(&mut client, assignment, lessons)) };
        self.run_idempotent("keeping what was learned", learn).await
    }

    async fn put_back(&self, assignment: &ClaimedBatch, setback: &Outcome) -> Result<(), Error> {
        let put_back = |client| queue::put_back(client, assignment, setback);
        self.run_idempotent("putting messages back that were not learned from", put_back).await
    }

    async fn end_leases(&self) -> Result<(), Error> {
        self.run_idempotent("ending leases", queue::end_leases).await
    }

    async fn waiting(&self, space: Option<&Space>) -> Result<Waiting, Error> {
        self.run_idempotent("counting what waits", |client| queue::waiting(client, space)).await
    }

    async fn parked(&self, space: Option<&Space>, limit: usize) -> Result<Vec<Parked>, Error> {
        self.run_idempotent("listing what is parked", |client| queue::parked(client, space, limit)).await
    }

    async fn unpark(&self, space: Option<&Space>) -> Result<u64, Error> {
        self.run("unparking messages", |client| queue::unpark(client, space)).await
    }

    async fn queue(&self, after: Option<&Queued>, limit: usize) -> Result<Vec<Queued>, Error> {
        self.run_idempotent("reading the queue", |client| queue::page(client, after, limit)).await
    }

    async fn enqueue(&self, queued: &[Queued]) -> Result<(), Error> {
        self.run_idempotent("queueing messages", |client| queue::enqueue(client, queued)).await
    }
}

#[async_trait]
impl UsageLedger for PostgresStore {
    async fn spend(&self, spending: Charge, budget: &Budget) -> Result<Option<Span>, Error> {
        let spend = |client| usage::spend(client, spending, budget);
        self.run("counting a use of the language model", spend).await
    }

    async fn correct(&self, at: Timestamp, calls: i64, tokens: i64) -> Result<(), Error> {
        let correct = |client| usage::correct(client, at, calls, tokens);
        self.run("correcting a use of the language model", correct).await
    }

    async fn usage(&self, at: Timestamp) -> Result<(Usage, Usage), Error> {
        self.run_idempotent("reading what the language model was used for", |client| usage::used(client, at))
            .await
    }
}
