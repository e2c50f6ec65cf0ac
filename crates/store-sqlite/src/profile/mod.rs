//! Facts and how they are learned: see [`FactStore`], [`CategoryStore`], [`LearningQueue`] and [`UsageLedger`].

mod categories;
pub(crate) mod facts;
pub(crate) mod queue;
mod targets;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{
    Category, CategoryId, CategoryOrigin, Error, FactId, FactScope, FactSet, FactTarget, SetType, SetTypeId,
    Space, Tag, TagId, Timestamp,
};
use memcloud_ports::{
    Budget, CategoryStore, Changed, Charge, ClaimedBatch, DamagedRow, EmbeddedFact, FactChanges, FactStore,
    FactsOf, LearningQueue, NewFact, Outcome, Parked, Queued, RevisionSet, SetCategory, Span, Trigger, Usage,
    UsageLedger, Waiting,
};
use rusqlite::Connection;

use crate::SqliteStore;

impl SqliteStore {
    async fn change_facts(&self, doing: &'static str, set: RevisionSet) -> Result<Option<Changed>, Error> {
        let damage = Arc::clone(&self.damage);
        self.writer.write(doing, move |tx| facts::revise(tx, &damage, &set)).await
    }
}

#[async_trait]
impl FactStore for SqliteStore {
    async fn revise(&self, set: &RevisionSet) -> Result<usize, Error> {
        let changed = self.change_facts("revising facts", set.clone()).await?;
        Ok(changed.map_or(0, |changed| changed.effects))
    }

    async fn add_fact(
        &self,
        target: &FactTarget,
        new: &NewFact,
        at: Timestamp,
    ) -> Result<Option<FactId>, Error> {
        let set = RevisionSet::by_hand(target, new, at);
        let changed = self.change_facts("adding a fact", set).await?;
        Ok(changed.and_then(|changed| changed.added))
    }

    async fn update_fact(&self, scope: &FactScope, id: FactId, changes: &FactChanges) -> Result<bool, Error> {
        let (scope, changes, damage) = (scope.clone(), changes.clone(), Arc::clone(&self.damage));
        let work = move |tx: &Connection| facts::update(tx, &damage, &scope, id, &changes);
        let changed = self.writer.write("changing a fact", work).await?;
        if changed {
            self.writer.checkpoint().await;
        }
        Ok(changed)
    }

    async fn fact(&self, id: FactId) -> Result<Option<EmbeddedFact>, Error> {
        let damage = Arc::clone(&self.damage);
        self.readers.read("reading a fact", move |c| facts::find(c, &damage, id)).await
    }

    async fn facts(&self, of: &FactsOf) -> Result<Vec<EmbeddedFact>, Error> {
        let (of, damage) = (of.clone(), Arc::clone(&self.damage));
        self.readers.read("reading facts", move |c| facts::of(c, &damage, &of)).await
    }

    async fn all_facts(&self, after: Option<FactId>, limit: usize) -> Result<Vec<EmbeddedFact>, Error> {
        let damage = Arc::clone(&self.damage);
        self.readers.read("reading facts", move |c| facts::all(c, &damage, after, limit)).await
    }

    async fn put_facts(&self, facts: &[EmbeddedFact]) -> Result<(), Error> {
        let facts = facts.to_vec();
        self.writer.write("storing facts", move |tx| facts::put(tx, &facts)).await
    }

    async fn delete_fact(&self, scope: &FactScope, id: FactId) -> Result<bool, Error> {
        let scope = scope.clone();
        let deleted = self.erase("deleting a fact", move |tx| facts::delete(tx, &scope, id)).await?;
        self.damage.forget(|row| deleted && *row == DamagedRow::Fact(id));
        Ok(deleted)
    }
}

#[async_trait]
impl CategoryStore for SqliteStore {
    async fn categories_of(&self, set: &FactSet) -> Result<Vec<SetCategory>, Error> {
        let set = set.clone();
        self.readers.read("reading categories", move |c| categories::of_set(c, &set)).await
    }

    async fn enabled_categories(&self, sets: &[FactSet]) -> Result<Vec<Vec<String>>, Error> {
        const DOING: &str = "reading categories";
        // A store is mostly about one or two people, whose categories are a few pages from the cache.
        if sets.len() <= 8 {
            return self.readers.read_now(DOING, |c| categories::enabled(c, sets));
        }
        let sets = sets.to_vec();
        self.readers.read(DOING, move |c| categories::enabled(c, &sets)).await
    }

    async fn category(&self, id: CategoryId) -> Result<Option<Category>, Error> {
        self.readers.read("reading a category", move |c| categories::find(c, id)).await
    }

    async fn categories(&self, origin: Option<&CategoryOrigin>) -> Result<Vec<Category>, Error> {
        let origin = origin.cloned();
        self.readers.read("reading categories", move |c| categories::list(c, origin.as_ref())).await
    }

    async fn put_category(&self, category: &Category) -> Result<bool, Error> {
        let category = category.clone();
        self.writer.write("storing a category", move |tx| categories::put(tx, &category)).await
    }

    async fn delete_category(&self, id: CategoryId) -> Result<bool, Error> {
        self.erase("deleting a category", move |tx| categories::delete(tx, id)).await
    }

    async fn enable_category(&self, target: &FactTarget, enabled: bool) -> Result<bool, Error> {
        let target = target.clone();
        let work = move |tx: &Connection| categories::enable(tx, &target, enabled);
        self.writer.write("enabling or disabling a category", work).await
    }

    async fn disabled_categories(&self) -> Result<Vec<FactTarget>, Error> {
        self.readers.read("reading disabled categories", categories::disabled).await
    }

    async fn add_tag(&self, category: CategoryId, tag: &Tag) -> Result<bool, Error> {
        let tag = tag.clone();
        self.writer.write("adding a tag", move |tx| categories::add_tag(tx, category, &tag)).await
    }

    async fn delete_tag(&self, id: TagId) -> Result<bool, Error> {
        self.writer.write("deleting a tag", move |tx| categories::delete_tag(tx, id)).await
    }

    async fn set_types(&self, org: Option<&str>) -> Result<Vec<SetType>, Error> {
        let org = org.map(str::to_owned);
        self.readers.read("reading set types", move |c| categories::set_types(c, org.as_deref())).await
    }

    async fn put_set_type(&self, set_type: &SetType) -> Result<bool, Error> {
        let set_type = set_type.clone();
        self.writer.write("storing a set type", move |tx| categories::put_set_type(tx, &set_type)).await
    }

    async fn delete_set_type(&self, id: SetTypeId) -> Result<bool, Error> {
        let work = move |tx: &Connection| categories::delete_set_type(tx, id);
        self.erase("deleting a set type", work).await
    }

    async fn sets(&self, scope: &FactScope) -> Result<Vec<FactSet>, Error> {
        let scope = scope.clone();
        self.readers.read("listing sets", move |c| categories::sets(c, &scope)).await
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
        const DOING: &str = "claiming messages to learn from";
        // The search for a target does not delay stores; only the claim is written.
        while let Some(target) = self.readers.read(DOING, move |c| queue::due(c, trigger, now)).await? {
            let claimed = self.writer.write(DOING, move |tx| queue::claim(tx, target, now, lease)).await?;
            if claimed.is_some() {
                return Ok(claimed);
            }
        }
        Ok(None)
    }

    async fn learn(&self, batch: &ClaimedBatch, set: &RevisionSet) -> Result<bool, Error> {
        let (batch, set, damage) = (batch.clone(), set.clone(), Arc::clone(&self.damage));
        let work = move |tx: &Connection| {
            let Some(target) = queue::leased(tx, &batch)? else { return Ok(false) };
            facts::revise(tx, &damage, &set)?;
            queue::finish(tx, target, &batch)?;
            Ok(true)
        };
        self.writer.write("storing what was learned", work).await
    }

    async fn put_back(&self, batch: &ClaimedBatch, outcome: &Outcome) -> Result<(), Error> {
        let (batch, outcome) = (batch.clone(), outcome.clone());
        let work = move |tx: &Connection| queue::put_back(tx, &batch, &outcome);
        self.writer.write("returning messages to the learning queue", work).await
    }

    async fn end_leases(&self) -> Result<(), Error> {
        self.writer.write("ending leases", queue::end_leases).await
    }

    async fn waiting(&self, space: Option<&Space>) -> Result<Waiting, Error> {
        let space = space.cloned();
        self.readers.read("counting the learning queue", move |c| queue::waiting(c, space.as_ref())).await
    }

    async fn parked(&self, space: Option<&Space>, limit: usize) -> Result<Vec<Parked>, Error> {
        let space = space.cloned();
        self.readers.read("listing parked messages", move |c| queue::parked(c, space.as_ref(), limit)).await
    }

    async fn unpark(&self, space: Option<&Space>) -> Result<u64, Error> {
        let space = space.cloned();
        self.writer.write("unparking messages", move |tx| queue::unpark(tx, space.as_ref())).await
    }

    async fn queue(&self, after: Option<&Queued>, limit: usize) -> Result<Vec<Queued>, Error> {
        let after = after.cloned();
        self.readers.read("reading the learning queue", move |c| queue::page(c, after.as_ref(), limit)).await
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
        self.readers.read("reading the use of the language model", move |c| usage::used(c, at)).await
    }
}
