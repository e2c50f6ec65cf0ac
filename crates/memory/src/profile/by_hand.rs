//! Facts that are made by hand.

use half::f16;
use memcloud_domain::{Error, FactId, FactScope, FactTarget, Field, Violation};
use memcloud_ports::{FactChanges, NewFact};

use crate::memory::Memory;
use crate::profile::check;
use crate::search::facts;

impl Memory {
    /// Stores a fact, embedded, and returns its id. If a current one has the same tag, name and value, that one gains the
    /// citations instead. `None` when the space is unknown, or when all messages that it cites have been deleted.
    /// Refuses one that breaks the limits of the memory.
    pub async fn add_fact(&self, target: &FactTarget, mut new: NewFact) -> Result<Option<FactId>, Error> {
        let texts = [
            (Field::FactCategory, Some(&target.category)),
            (Field::FactTag, Some(&new.tag)),
            (Field::FactName, Some(&new.name)),
            (Field::FactValue, Some(&new.value)),
        ];
        let fact = check::fact(&self.limits, texts, Some(&new.metadata), Some(&new.citations));
        Violation::all(check::set(&self.limits, &target.set).chain(fact))?;
        new.vector = self.embed_fact(&new.tag, &new.name, &new.value).await?;
        self.engine.facts.add_fact(target, &new, self.clock.now()).await
    }

    /// Changes a fact of this scope, and embeds it again when its text changes. Returns `false` if it is unknown there.
    /// Refuses changes that break the limits of the memory.
    pub async fn update_fact(
        &self,
        scope: &FactScope,
        id: FactId,
        mut changes: FactChanges,
    ) -> Result<bool, Error> {
        let texts = [
            (Field::FactCategory, changes.category.as_ref()),
            (Field::FactTag, changes.tag.as_ref()),
            (Field::FactName, changes.name.as_ref()),
            (Field::FactValue, changes.value.as_ref()),
        ];
        Violation::all(check::fact(
            &self.limits,
            texts,
            changes.metadata.as_ref(),
            changes.citations.as_ref(),
        ))?;
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
