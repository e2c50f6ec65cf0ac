//! Facts and how they are learned: see [`FactStore`], [`CategoryStore`], [`LearningQueue`] and [`UsageLedger`]. A change of
//! facts or of the queue locks the spaces of its scope first, as stores and deletions do, so that no citation outlives its
//! episode. Only a claim locks nothing but its target.

mod categories;
pub(crate) mod facts;
pub(crate) mod queue;
pub(crate) mod targets;
mod usage;

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Object;
use memcloud_domain::{
    Category, CategoryId, CategoryOrigin, Error, FactId, FactScope, FactSet, FactTarget, SetType, SetTypeId,
    Space, Tag, TagId, Timestamp,
};
use memcloud_ports::{
    Budget, CategoryStore, Charge, ClaimedBatch, EmbeddedFact, FactChanges, FactStore, FactsOf,
    LearningQueue, NewFact, Outcome, Parked, Queued, RevisionSet, SetCategory, Span, Trigger, Usage,
    UsageLedger, Waiting,
};

use crate::PostgresStore;

#[async_trait]
impl FactStore for PostgresStore {
    async fn revise(&self, set: &RevisionSet) -> Result<usize, Error> {
        let revise =
            |mut client| async move { retry_conflicts!(facts::revise(&mut client, &self.damage, set)) };
        Ok(self.run("revising facts", revise).await?.map_or(0, |changed| changed.effects))
    }

    async fn add_fact(
        &self,
        target: &FactTarget,
        new: &NewFact,
        at: Timestamp,
    ) -> Result<Option<FactId>, Error> {
        let set = &RevisionSet::by_hand(target, new, at);
        let add = |mut client| async move { retry_conflicts!(facts::revise(&mut client, &self.damage, set)) };
        // Adding a fact again finds the first one.
        Ok(self.run_idempotent("adding a fact", add).await?.and_then(|changed| changed.added))
    }

    async fn update_fact(&self, scope: &FactScope, id: FactId, changes: &FactChanges) -> Result<bool, Error> {
        let update = |mut client| async move {
            retry_conflicts!(facts::update(&mut client, &self.damage, scope, id, changes))
        };
        self.run_idempotent("changing a fact", update).await
    }

    async fn fact(&self, id: FactId) -> Result<Option<EmbeddedFact>, Error> {
        let find = |client: Object| async move { facts::find(&client, &self.damage, id).await };
        self.run_idempotent("reading a fact", find).await
    }

    async fn facts(&self, of: &FactsOf) -> Result<Vec<EmbeddedFact>, Error> {
        self.run_idempotent("reading facts", |client| facts::of(client, &self.damage, of)).await
    }

    async fn all_facts(&self, after: Option<FactId>, limit: usize) -> Result<Vec<EmbeddedFact>, Error> {
        let all = |client: Object| async move { facts::all(&client, &self.damage, after, limit).await };
        self.run_idempotent("reading facts", all).await
    }

    async fn put_facts(&self, facts: &[EmbeddedFact]) -> Result<(), Error> {
        let put = |mut client| async move { retry_conflicts!(facts::put(&mut client, facts)) };
        self.run_idempotent("storing facts", put).await
    }

    async fn delete_fact(&self, scope: &FactScope, id: FactId) -> Result<bool, Error> {
        let delete = |mut client| async move { retry_conflicts!(facts::delete(&mut client, scope, id)) };
        self.run("deleting a fact", delete).await
    }
}

#[async_trait]
impl CategoryStore for PostgresStore {
    async fn categories_of(&self, set: &FactSet) -> Result<Vec<SetCategory>, Error> {
        self.run_idempotent("reading categories", |client| categories::of_set(client, set)).await
    }

    async fn enabled_categories(&self, sets: &[FactSet]) -> Result<Vec<Vec<String>>, Error> {
        self.run_idempotent("reading categories", |client| categories::enabled(client, sets)).await
    }

    async fn category(&self, id: CategoryId) -> Result<Option<Category>, Error> {
        let find = |client: Object| async move { categories::find(&client, id).await };
        self.run_idempotent("reading a category", find).await
    }

    async fn categories(&self, origin: Option<&CategoryOrigin>) -> Result<Vec<Category>, Error> {
        let list = |client: Object| async move { categories::list(&client, origin).await };
        self.run_idempotent("reading categories", list).await
    }

    async fn put_category(&self, category: &Category) -> Result<bool, Error> {
        let put = |mut client| async move { retry_conflicts!(categories::put(&mut client, category)) };
        self.run_idempotent("storing a category", put).await
    }

    async fn delete_category(&self, id: CategoryId) -> Result<bool, Error> {
        let delete = |mut client| async move { retry_conflicts!(categories::delete(&mut client, id)) };
        self.run("deleting a category", delete).await
    }

    async fn enable_category(&self, target: &FactTarget, enabled: bool) -> Result<bool, Error> {
        let enable =
            |mut client| async move { retry_conflicts!(categories::enable(&mut client, target, enabled)) };
        self.run_idempotent("enabling or disabling a category", enable).await
    }

    async fn disabled_categories(&self) -> Result<Vec<FactTarget>, Error> {
        self.run_idempotent("reading disabled categories", categories::disabled).await
    }

    async fn add_tag(&self, category: CategoryId, tag: &Tag) -> Result<bool, Error> {
        let add =
            |mut client| async move { retry_conflicts!(categories::add_tag(&mut client, category, tag)) };
        self.run("adding a tag", add).await
    }

    async fn delete_tag(&self, id: TagId) -> Result<bool, Error> {
        self.run("deleting a tag", |client| categories::delete_tag(client, id)).await
    }

    async fn set_types(&self, org: Option<&str>) -> Result<Vec<SetType>, Error> {
        self.run_idempotent("reading set types", |client| categories::set_types(client, org)).await
    }

    async fn put_set_type(&self, set_type: &SetType) -> Result<bool, Error> {
        let put =
            |mut client| async move { retry_conflicts!(categories::put_set_type(&mut client, set_type)) };
        self.run_idempotent("storing a set type", put).await
    }

    async fn delete_set_type(&self, id: SetTypeId) -> Result<bool, Error> {
        let delete =
            |mut client| async move { retry_conflicts!(categories::delete_set_type(&mut client, id)) };
        self.run("deleting a set type", delete).await
    }

    async fn sets(&self, scope: &FactScope) -> Result<Vec<FactSet>, Error> {
        self.run_idempotent("listing sets", |client| categories::sets(client, scope)).await
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
        self.run("claiming messages to learn from", claim).await
    }

    async fn learn(&self, batch: &ClaimedBatch, set: &RevisionSet) -> Result<bool, Error> {
        let learn =
            |mut client| async move { retry_conflicts!(facts::learn(&mut client, &self.damage, batch, set)) };
        self.run_idempotent("storing what was learned", learn).await
    }

    async fn put_back(&self, batch: &ClaimedBatch, outcome: &Outcome) -> Result<(), Error> {
        let put_back = |client| queue::put_back(client, batch, outcome);
        self.run_idempotent("returning messages to the learning queue", put_back).await
    }

    async fn end_leases(&self) -> Result<(), Error> {
        self.run_idempotent("ending leases", queue::end_leases).await
    }

    async fn waiting(&self, space: Option<&Space>) -> Result<Waiting, Error> {
        self.run_idempotent("counting the learning queue", |client| queue::waiting(client, space)).await
    }

    async fn parked(&self, space: Option<&Space>, limit: usize) -> Result<Vec<Parked>, Error> {
        self.run_idempotent("listing parked messages", |client| queue::parked(client, space, limit)).await
    }

    async fn unpark(&self, space: Option<&Space>) -> Result<u64, Error> {
        self.run("unparking messages", |client| queue::unpark(client, space)).await
    }

    async fn queue(&self, after: Option<&Queued>, limit: usize) -> Result<Vec<Queued>, Error> {
        self.run_idempotent("reading the learning queue", |client| queue::page(client, after, limit)).await
    }

    async fn enqueue(&self, queued: &[Queued]) -> Result<(), Error> {
        let enqueue = |mut client| async move { retry_conflicts!(queue::enqueue(&mut client, queued)) };
        self.run_idempotent("queueing messages", enqueue).await
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
        self.run_idempotent("reading the use of the language model", |client| usage::used(client, at)).await
    }
}
