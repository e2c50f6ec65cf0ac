//! Finds facts: all of the people in question are read, since one person has some dozens of them, and put into the order
//! of their similarity to the question.

use std::collections::HashSet;

use half::f16;
use memcloud_domain::{Error, Fact, FactId, Space};

use crate::Memory;
use crate::search::{Embedded, SearchQuery, SearchResults};
use crate::text::words::terms;
use memcloud_ports::{EmbeddedFact, FactsOf};

/// What share of a fact's score its words have; the rest is what its embedding says. Without embeddings words are all.
const WORDS: f32 = 0.2;

/// A fact that was found.
#[derive(Clone, Debug)]
pub struct FactHit {
    /// The fact.
    pub fact: Fact,
    /// How much it is like the question: at most 1.
    pub score: f32,
}

impl Memory {
    /// The facts that are most like a question, best first.
    pub async fn search_facts(
        &self,
        of: &FactsOf,
        text: &str,
        most_facts: usize,
    ) -> Result<Vec<FactHit>, Error> {
        self.check_name("group_id", &of.space.project)?;
        if text.trim().is_empty() {
            return Err(Error::EmptyQuery);
        }
        self.bind().await?;
        let facts = self.store.facts.facts(of).await?;
        if facts.is_empty() {
            return Ok(vec![]);
        }
        let (vector, _) = self.embed_question(text).await?;
        let mut hits = ranked(facts, text, vector.as_deref());
        hits.truncate(most_facts);
        Ok(hits)
    }

    /// The episodes and the facts that are most like a question. Costs little more than the episodes alone.
    pub async fn search_both(
        &self,
        question: SearchQuery,
        of: &FactsOf,
        most_facts: usize,
    ) -> Result<(SearchResults, Vec<FactHit>), Error> {
        let (found, facts, _) = self.search_both_with_vector(question, of, most_facts).await?;
        Ok((found, facts))
    }

    /// The same, and the question's embedding.
    pub(crate) async fn search_both_with_vector(
        &self,
        question: SearchQuery,
        of: &FactsOf,
        most_facts: usize,
    ) -> Result<(SearchResults, Vec<FactHit>, Option<Embedded>), Error> {
        let text = question.text.clone();
        let facts = self.store.facts.facts(of);
        let ((found, embedded), facts) = tokio::try_join!(self.search_with_vector(question), facts)?;
        let vector = embedded.as_ref().map(|embedded| embedded.vector.as_slice());
        let mut facts = ranked(facts, &text, vector);
        facts.truncate(most_facts);
        Ok((found, facts, embedded))
    }

    /// Facts, in the order in which they were learned.
    pub async fn facts(&self, of: &FactsOf) -> Result<Vec<Fact>, Error> {
        let facts = self.store.facts.facts(of).await?;
        Ok(facts.into_iter().map(|fact| fact.fact).collect())
    }

    /// Deletes a fact for good; `false` when this space has none of this id.
    pub async fn forget_fact(&self, space: &Space, id: FactId) -> Result<bool, Error> {
        self.store.facts.delete_fact(space, id).await
    }
}

/// Facts in the order of their similarity to a text.
pub(crate) fn ranked(facts: Vec<EmbeddedFact>, text: &str, vector: Option<&[f32]>) -> Vec<FactHit> {
    let asked: HashSet<String> = terms(text).collect();
    let mut hits: Vec<FactHit> = facts
        .into_iter()
        .map(|fact| FactHit { score: score(&fact, &asked, vector), fact: fact.fact })
        .collect();
    // Among equals what was learned last.
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.fact.id.cmp(&a.fact.id)));
    hits
}

fn score(fact: &EmbeddedFact, asked: &HashSet<String>, vector: Option<&[f32]>) -> f32 {
    let said: HashSet<String> = terms(&told(&fact.fact.tag, &fact.fact.name, &fact.fact.value)).collect();
    let shared = asked.intersection(&said).count() as f32 / asked.len().max(1) as f32;
    match (vector, &fact.vector) {
        (Some(asked), Some(fact)) if asked.len() == fact.len() => {
            WORDS * shared + (1.0 - WORDS) * cosine(asked, fact)
        }
        _ => shared,
    }
}

/// The cosine of two vectors of unit length.
fn cosine(a: &[f32], b: &[f16]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b.to_f32()).sum()
}

/// A fact as a line that can be embedded and compared.
pub(crate) fn told(tag: &str, name: &str, value: &str) -> String {
    format!("{tag}, {name}: {value}")
}
