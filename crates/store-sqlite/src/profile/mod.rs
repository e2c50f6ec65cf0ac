//! What is learned: see [`FactStore`], [`LearningQueue`] and [`UsageLedger`].

pub(crate) mod facts;
pub(crate) mod queue;
mod subjects;
mod usage;

use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Error, FactId, Space, Timestamp};
use memcloud_ports::{
    Budget, Charge, ClaimedBatch, EmbeddedFact, FactStore, FactsOf, LearningQueue, Outcome, Parked, Queued,
    RevisionSet, Span, Trigger, Usage, UsageLedger, Waiting,
};
use rusqlite::Connection;

use crate::SqliteStore;

#[async_trait]
impl FactStore for SqliteStore {
    async fn revise(&self, lessons: &RevisionSet) -> Result<usize, Error> {
        let lessons = lessons.clone();
        let work = move |tx: &Connection| match subjects::make_in_space(tx, &lessons.subject)? {
            Some((space, subject)) => facts::revise(tx, space, subject, &lessons),
            None => Ok(0),
        };
        self.writer.write("revising what is known", work).await
    }

    async fn facts(&self, of: &FactsOf) -> Result<Vec<EmbeddedFact>, Error> {
        let of = of.clone();
        self.readers.read("reading facts", move |c| facts::of(c, &of)).await
    }

    async fn all_facts(&self, after: Option<FactId>, limit: usize) -> Result<Vec<EmbeddedFact>, Error> {
        self.readers.read("reading facts", move |c| facts::all(c, after, limit)).await
    }

    async fn put_facts(&self, facts: &[EmbeddedFact]) -> Result<(), Error> {
        let facts = facts.to_vec();
        self.writer.write("keeping facts", move |tx| facts::put(tx, &facts)).await
    }

    async fn delete_fact(&self, space: &Space, id: FactId) -> Result<bool, Error> {
        let space = space.clone();
        let deleted = self.writer.delete("deleting a fact", move |tx| facts::delete(tx, &space, id)).await?;
        if deleted {
            self.writer.checkpoint().await;
        }
        Ok(deleted)
    }
}

#[async_trait]
impl LearningQueue for SqliteStore {
    async fn claim(
        &self,
        trigger: Trigger,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<ClaimedBatch>, Error> {
        const DOING: &str = "taking on messages to learn from";
        // Looking through the queue holds up no store; only what is taken is written.
        while let Some(subject) = self.readers.read(DOING, move |c| queue::due(c, trigger, now)).await? {
            let taken = self.writer.write(DOING, move |tx| queue::take(tx, subject, now, lease)).await?;
            if taken.is_some() {
                return Ok(taken);
            }
        }
        Ok(None)
    }

    async fn learn(&self, assignment: &ClaimedBatch, lessons: &RevisionSet) -> Result<bool, Error> {
        let (assignment, lessons) = (assignment.clone(), lessons.clone());
        let work = move |tx: &Connection| {
            let Some(subject) = queue::leased(tx, &assignment)? else { return Ok(false) };
            if let Some((space, known)) = subjects::make_in_space(tx, &lessons.subject)? {
                facts::revise(tx, space, known, &lessons)?;
            }
            queue::finish(tx, subject, &assignment)?;
            Ok(true)
        };
        self.writer.write("keeping what was learned", work).await
    }

    async fn put_back(&self, assignment: &ClaimedBatch, setback: &Outcome) -> Result<(), Error> {
        let (assignment, setback) = (assignment.clone(), setback.clone());
        let work = move |tx: &Connection| queue::put_back(tx, &assignment, &setback);
        self.writer.write("putting messages back that were not learned from", work).await
    }

    async fn end_leases(&self) -> Result<(), Error> {
        self.writer.write("ending leases", queue::end_leases).await
    }

    async fn waiting(&self, space: Option<&Space>) -> Result<Waiting, Error> {
        let space = space.cloned();
        self.readers.read("counting what waits", move |c| queue::waiting(c, space.as_ref())).await
    }

    async fn parked(&self, space: Option<&Space>, limit: usize) -> Result<Vec<Parked>, Error> {
        let space = space.cloned();
        self.readers.read("listing what is parked", move |c| queue::parked(c, space.as_ref(), limit)).await
    }

    async fn unpark(&self, space: Option<&Space>) -> Result<u64, Error> {
        let space = space.cloned();
        self.writer.write("unparking messages", move |tx| queue::unpark(tx, space.as_ref())).await
    }

    async fn queue(&self, after: Option<&Queued>, limit: usize) -> Result<Vec<Queued>, Error> {
        let after = after.cloned();
        self.readers.read("reading the queue", move |c| queue::page(c, after.as_ref(), limit)).await
    }

    async fn enqueue(&self, queued: &[Queued]) -> Result<(), Error> {
        let queued = queued.to_vec();
        self.writer.write("queueing messages", move |tx| queue::enqueue(tx, &queued)).await
    }
}

#[async_trait]
impl UsageLedger for SqliteStore {
    async fn spend(&self, spending: Charge, budget: &Budget) -> Result<Option<Span>, Error> {
        let budget = *budget;
        self.writer
            .write("counting a use of the language model", move |tx| usage::spend(tx, spending, &budget))
            .await
    }

    async fn correct(&self, at: Timestamp, calls: i64, tokens: i64) -> Result<(), Error> {
        let work = move |tx: &Connection| usage::correct(tx, at, calls, tokens);
        self.writer.write("correcting a use of the language model", work).await
    }

    async fn usage(&self, at: Timestamp) -> Result<(Usage, Usage), Error> {
        self.readers.read("reading what the language model was used for", move |c| usage::used(c, at)).await
    }
}
