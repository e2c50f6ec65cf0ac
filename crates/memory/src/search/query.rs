//! A query, from the text that a person wrote to what ranking reads.

use std::collections::HashSet;

use memcloud_domain::{Field, Filter, Space, TimeRange, Timestamp, Violation};

use crate::limits::{Checked, Limits};
use crate::search::names::{Mention, first_named};
use crate::search::query_text::QueryText;
use crate::search::time_phrases::time_range;
use crate::text::cues::asks_when;
use crate::text::terms::{term, term_id};

/// How many different terms of a long query rank episodes: each is looked up in the index.
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
    pub limit: i64,
}

impl SearchQuery {
    /// This query when it breaks no rule, else every rule that it breaks.
    pub fn checked(self, limits: &Limits) -> Result<Checked<Self>, Vec<Violation>> {
        Checked::by(self, |Self { space, text, limit, .. }| {
            Violation::all([
                limits.check_text(Field::Query, text),
                limits.check_name(Field::Space, &space.project),
                limits.check_limit(Some(*limit), 0).map(drop),
            ])
        })
    }
}

impl Checked<SearchQuery> {
    /// The most hits to return.
    pub fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or_default()
    }
}

/// What ranking reads of a query.
#[derive(Debug, Default)]
pub(crate) struct ParsedQuery {
    /// The query's terms, each once.
    pub(crate) terms: Vec<Term>,
    /// Its vector of unit length, where an embedder runs.
    pub(crate) vector: Option<Vec<f32>>,
    /// The name of a producer that it mentions first, in the forms that a space keeps.
    pub(crate) named: Vec<Box<str>>,
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
    /// Parses a query that mentions these names, as seen from `now`. Its vector is added later.
    pub(crate) fn parse(text: &QueryText<'_>, mentions: &[Mention<'_>], now: Timestamp) -> Self {
        Self {
            terms: terms(text),
            vector: None,
            named: first_named(mentions),
            time_range: time_range(text, now),
            asks_when: asks_when(&text.tokens),
        }
    }

    /// The terms that episodes are ranked by.
    pub(crate) fn ranked_terms(&self) -> &[Term] {
        &self.terms[..self.terms.len().min(MAX_TERMS)]
    }
}

/// The terms of a text, each once.
pub(crate) fn terms(text: &QueryText<'_>) -> Vec<Term> {
    let (mut words, mut ids) = (HashSet::new(), HashSet::new());
    // "May" and "may" differ.
    let words = text.tokens.iter().filter(|token| words.insert(token.written));
    let terms = words.filter_map(|token| {
        let stem = term(token)?;
        let id = term_id(&stem);
        ids.insert(id).then(|| Term { id, stem: stem.into_owned() })
    });
    terms.collect()
}
