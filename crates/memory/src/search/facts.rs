//! Ranks facts. All facts of the people concerned are read, since each person has some dozens, and sorted by similarity.

use std::collections::HashSet;
use std::sync::Arc;

use half::f16;
use memcloud_domain::{Error, Fact};
use memcloud_ports::EmbeddedFact;
use memcloud_tasks::INLINE_BYTES;

use crate::compute::compute;
use crate::embedding::Embedding;
use crate::search::query::{ParsedQuery, terms};
use crate::search::query_text::{QueryText, beginning};
use crate::text::terms::term_ids;

/// The share of a fact's score that its terms have; its embedding has the rest. Without embeddings, terms are everything.
const TERMS_SHARE: f32 = 0.2;

/// A fact that was found.
#[derive(Clone, Debug)]
pub struct FactHit {
    /// The fact.
    pub fact: Fact,
    /// Its similarity to the query: at most 1.
    pub score: f32,
}

/// A text as facts are compared with it.
pub(crate) async fn query(embedding: &Embedding, text: &str) -> Result<Arc<ParsedQuery>, Error> {
    let text = beginning(text).to_owned();
    let vector = embedding.query(&text).await?;
    let parsed = compute(text.len() > INLINE_BYTES, "reading a query", move || ParsedQuery {
        terms: terms(&QueryText::read(&text)),
        vector,
        ..ParsedQuery::default()
    });
    Ok(Arc::new(parsed.await?))
}

/// The facts that are most similar to a query, best first.
pub(crate) async fn rank(
    facts: Vec<EmbeddedFact>,
    query: Arc<ParsedQuery>,
    limit: usize,
) -> Result<Vec<FactHit>, Error> {
    let bytes: usize = facts.iter().map(|EmbeddedFact { fact, .. }| fact.name.len() + fact.value.len()).sum();
    compute(bytes > INLINE_BYTES, "ranking facts", move || best(facts, &query, limit)).await
}

fn best(facts: Vec<EmbeddedFact>, query: &ParsedQuery, limit: usize) -> Vec<FactHit> {
    let mut hits: Vec<FactHit> =
        facts.into_iter().map(|fact| FactHit { score: score(&fact, query), fact: fact.fact }).collect();
    // Among equals, the fact that was learned last comes first.
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.fact.id.cmp(&a.fact.id)));
    hits.truncate(limit);
    hits
}

fn score(fact: &EmbeddedFact, query: &ParsedQuery) -> f32 {
    let line = line(&fact.fact.tag, &fact.fact.name, &fact.fact.value);
    let terms: HashSet<u32> = term_ids(&line).collect();
    let shared = query.terms.iter().filter(|term| terms.contains(&term.id)).count();
    let shared = shared as f32 / query.terms.len().max(1) as f32;
    match (&query.vector, &fact.vector) {
        (Some(query), Some(fact)) if query.len() == fact.len() => {
            TERMS_SHARE * shared + (1.0 - TERMS_SHARE) * cosine(query, fact)
        }
        _ => shared,
    }
}

/// The cosine of two vectors of unit length.
fn cosine(a: &[f32], b: &[f16]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b.to_f32()).sum()
}

/// A fact as the line of text that is embedded and compared.
pub(crate) fn line(tag: &str, name: &str, value: &str) -> String {
    format!("{tag}, {name}: {value}")
}
