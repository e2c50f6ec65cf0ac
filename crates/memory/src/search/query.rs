//! A query, from the text that a person wrote to what ranking reads.

use std::collections::HashSet;
use std::sync::Arc;

use memcloud_domain::{Filter, Space, TimeRange, Timestamp};

use crate::search::names::ProducerNames;
use crate::search::query_text::QueryText;
use crate::search::time_phrases::time_range;
use crate::text::cues::asks_when;
use crate::text::terms::{term, term_id};

/// How many different terms of a long query are read.
const MAX_TERMS: usize = 64;

/// A search.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// The space to search.
    pub space: Space,
    /// The query, as a person would write it.
    pub text: String,
    /// Which episodes may be found.
    pub filter: Filter,
    /// The most hits to return: at least 1, at most [`Limits::results`](crate::Limits::results).
    pub limit: usize,
}

/// A query, ready for ranking.
#[derive(Debug, Default)]
pub(crate) struct ParsedQuery {
    /// The query's terms, each once.
    pub(crate) terms: Vec<Term>,
    /// Its vector of unit length, where an embedder runs.
    pub(crate) vector: Option<Arc<[f32]>>,
    /// The number of the producer that it names first; several, ascending, only where they share that name.
    pub(crate) named: Vec<u32>,
    /// The time range that it mentions.
    pub(crate) time_range: Option<TimeRange>,
    /// Whether it asks when something happened.
    pub(crate) asks_when: bool,
}

/// A term of a query.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) id: u32,
    pub(crate) stem: String,
}

impl ParsedQuery {
    /// Parses a query for a space with these producers, as seen from `now`.
    pub(crate) fn parse(
        text: &QueryText<'_>,
        vector: Option<Arc<[f32]>>,
        names: &ProducerNames,
        now: Timestamp,
    ) -> Self {
        Self {
            terms: terms(text),
            vector,
            named: names.first_named(text),
            time_range: time_range(text, now),
            asks_when: asks_when(&text.tokens),
        }
    }
}

fn terms(text: &QueryText<'_>) -> Vec<Term> {
    let (mut terms, mut seen) = (Vec::<Term>::new(), HashSet::new());
    for token in &text.tokens {
        if terms.len() == MAX_TERMS {
            break;
        }
        // "May" and "may" differ.
        let Some(stem) = seen.insert(token.written).then(|| term(token)).flatten() else { continue };
        let id = term_id(&stem);
        if terms.iter().all(|known| known.id != id) {
            terms.push(Term { id, stem });
        }
    }
    terms
}
