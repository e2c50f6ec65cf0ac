//! Facts that are made by hand.

use half::f16;
use memcloud_domain::{Error, FactId, FactScope, FactTarget};
use memcloud_ports::{FactChanges, NewFact};

use crate::memory::Memory;
use crate::search::facts;

impl Memory {
    /// Stores a fact, embedded, and returns its id. If a current one has the same tag, name and value, that one gains the
    /// citations instead. `None` when the space is unknown, or when all messages that it cites have been deleted.
    pub async fn add_fact(&self, target: &FactTarget, mut new: NewFact) -> Result<Option<FactId>, Error> {
        new.vector = self.embed_fact(&new.tag, &new.name, &new.value).await?;
        self.engine.facts.add_fact(target, &new, self.clock.now()).await
    }

    /// Changes a fact of this scope, and embeds it again when its text changes. Returns `false` if it is unknown there.
    pub async fn update_fact(
        &self,
        scope: &FactScope,
        id: FactId,
        mut changes: FactChanges,
    ) -> Result<bool, Error> {
        if changes.changes_text() {
            let Some(known) = self.engine.facts.fact(id).await? else { return Ok(false) };
            let fact = changes.apply(known, []).fact;
            changes.vector = self.embed_fact(&fact.tag, &fact.name, &fact.value).await?;
        }
        self.engine.facts.update_fact(scope, id, &changes).await
    }

    async fn embed_fact(&self, tag: &str, name: &str, value: &str) -> Result<Option<Vec<f16>>, Error> {
        let vectors = self.embedding.documents(vec![facts::line(tag, name, value)]).await?;
        Ok(vectors.and_then(|mut vectors| vectors.pop()))
    }
}
