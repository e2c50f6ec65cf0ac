//! Facts under their ids, and the learning queue.

use std::collections::{BTreeMap, HashSet};

use memcloud_domain::{EpisodeId, FactId, FactTarget, Timestamp};
use memcloud_ports::{EmbeddedFact, Engine, Queued};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{STEP, Sum, of_vector};
use crate::error::Error;

/// Copies facts and the queue. Their messages have been copied before.
pub(super) async fn copy(source: &Engine, target: &Engine) -> Result<(), Error> {
    let mut after = None;
    while let Some((facts, last)) = facts(source, after).await? {
        target.facts.put_facts(&facts).await?;
        after = Some(last);
    }
    let mut after = None;
    while let Some((queued, last)) = queue(source, after.as_ref()).await? {
        target.learning.enqueue(&queued).await?;
        after = Some(last);
    }
    Ok(())
}

/// Some facts after this one, and the last of them.
async fn facts(store: &Engine, after: Option<FactId>) -> Result<Option<(Vec<EmbeddedFact>, FactId)>, Error> {
    let facts = store.facts.all_facts(after, STEP).await?;
    let last = facts.last().map(|fact| fact.fact.id);
    Ok(last.map(|last| (facts, last)))
}

/// Some of the queue after this message, and the last of them.
async fn queue(store: &Engine, after: Option<&Queued>) -> Result<Option<(Vec<Queued>, Queued)>, Error> {
    let queued = store.learning.queue(after, STEP).await?;
    let last = queued.last().cloned();
    Ok(last.map(|last| (queued, last)))
}

/// Reads both sides and compares what the source has.
pub(super) async fn check(source: &Engine, target: &Engine) -> Result<Sum, Error> {
    let mut there = HashSet::new();
    let remember = |one| {
        there.insert(one);
        true
    };
    let here = sum(source, remember).await?;
    let moved = sum(target, |one| there.contains(&one)).await?;
    if here == moved {
        return Ok(here);
    }
    let summary = |sum: &Sum| format!("{} facts, {} queued, checksum {}", sum.facts, sum.queued, sum.hex());
    Err(Error::FactsDiffer { here: summary(&here), there: summary(&moved) })
}

/// A fact, or a message in the queue.
#[derive(PartialEq, Eq, Hash)]
enum Learned {
    Fact(FactId),
    Queued(FactTarget, EpisodeId),
}

/// Sums up the facts and the part of the queue that are wanted.
async fn sum(store: &Engine, mut wanted: impl FnMut(Learned) -> bool) -> Result<Sum, Error> {
    let mut sum = Sum::default();
    let mut after = None;
    while let Some((facts, last)) = facts(store, after).await? {
        for fact in facts.iter().filter(|fact| wanted(Learned::Fact(fact.fact.id))) {
            sum.facts += 1;
            sum.take(of_fact(fact));
        }
        after = Some(last);
    }
    let mut after = None;
    while let Some((queued, last)) = queue(store, after.as_ref()).await? {
        for one in queued.iter().filter(|one| wanted(Learned::Queued(one.target.clone(), one.episode))) {
            sum.queued += 1;
            sum.take(of_queued(one));
        }
        after = Some(last);
    }
    Ok(sum)
}

fn of_fact(fact: &EmbeddedFact) -> Sha256 {
    let vector = fact.vector.as_deref();
    let fact = &fact.fact;
    // Metadata in the order of its keys: no engine promises another.
    let metadata: BTreeMap<_, _> = fact.metadata.iter().collect();
    let citations: Vec<String> = fact.citations.iter().map(ToString::to_string).collect();
    let text = json!([
        fact.id.number(),
        of_target(&fact.target),
        fact.tag,
        fact.name,
        fact.value,
        metadata,
        citations,
        fact.valid_from.as_micros(),
        fact.valid_to.map(Timestamp::as_micros),
        fact.learned_at.as_micros(),
        fact.prompt,
        fact.model,
    ]);
    of_vector(text.to_string().as_bytes(), vector)
}

fn of_queued(queued: &Queued) -> Sha256 {
    let text = json!([
        of_target(&queued.target),
        queued.episode.to_string(),
        queued.since.as_micros(),
        queued.attempts,
        queued.parked,
    ]);
    Sha256::new_with_prefix(text.to_string())
}

fn of_target(target: &FactTarget) -> [String; 2] {
    [target.set.to_string(), target.category.clone()]
}
