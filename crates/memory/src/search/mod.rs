//! Finds episodes and facts: reads the query (`query`, `names`, `time_phrases`), brings the index of the space up to date
//! (`index`, `indexes`, `snapshot`), filters rows (`filter`) and ranks them (`rank`). Facts are ranked in `facts`.
//! ARCHITECTURE.md walks through a search.

mod explain;
pub(crate) mod facts;
mod filter;
mod index;
mod indexes;
mod list;
pub(crate) mod names;
mod query;
mod query_text;
mod rank;
mod snapshot;
mod table;
mod time_phrases;
mod weights;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memcloud_domain::{Clock, Episode, EpisodeId, Error, Filter, InFlight, Reservation, Space};
use memcloud_ports::{Engine, FactsOf, Parts};
use memcloud_tasks::{INLINE_BYTES, INLINE_SCANNED_BYTES, step_aside};

use crate::compute::compute;
use crate::embedding::Embedding;
use crate::limits::{Checked, Limits};
use crate::search::filter::Candidates;
use crate::search::index::{Row, SpaceIndex};
use crate::search::indexes::Indexes;
use crate::search::names::in_first_person;
use crate::search::query_text::beginning;
use crate::search::rank::Ranked;
use crate::search::snapshot::{LockedIndex, Snapshot};

pub use explain::{Explanation, ScoreBreakdown};
pub use facts::FactHit;
pub use list::{ListQuery, ListedPage};
pub(crate) use query::ParsedQuery;
pub use query::SearchQuery;
pub(crate) use query_text::QueryText;
pub use weights::RankingWeights;

/// Spaces of up to this many rows are ranked on the thread that serves the request: that takes less time than a switch to
/// another thread and back.
const MAX_INLINE_ROWS: usize = 20_000;

/// How many episodes are read from the engine at once.
const STEP: usize = 1_000;

/// About what a ranked row takes until its episode is loaded, in bytes: its id, its score and its explanation with some words.
const RANKED_BYTES: usize = 512;

/// The results of a search.
#[derive(Clone, Debug)]
pub struct SearchResults {
    /// The hits, best first.
    pub hits: Vec<Hit>,
    /// Whether the last hits are left out, because those before are large together.
    pub cut: bool,
    /// What the episodes take of the account of requests and answers.
    pub held: Arc<Reservation>,
    /// How long the embedding of the query took; zero without an embedder.
    pub embedding: Duration,
    /// How long the rest took.
    pub ranking: Duration,
}

/// An episode that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The episode.
    pub episode: Episode,
    /// Its score: higher is better. Scores are comparable within one search only.
    pub score: f32,
    /// Why it was found.
    pub explanation: Explanation,
}

/// Finds episodes and facts. Clones share everything.
#[derive(Clone)]
pub(crate) struct Search {
    engine: Engine,
    embedding: Arc<Embedding>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    weights: RankingWeights,
    indexes: Arc<Indexes>,
    in_flight: Arc<InFlight>,
}

/// A query that has been parsed and embedded. `'a` is the query's own lifetime.
struct EmbeddedQuery<'a> {
    query: &'a Checked<SearchQuery>,
    parsed: Arc<ParsedQuery>,
    snapshot: Snapshot<'a>,
    began: Instant,
    embedding: Duration,
}

impl Search {
    pub(crate) fn new(
        engine: Engine,
        embedding: Arc<Embedding>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        weights: RankingWeights,
    ) -> Self {
        Self {
            engine,
            embedding,
            clock,
            limits,
            weights,
            indexes: Arc::new(Indexes::new(limits.index_bytes)),
            in_flight: InFlight::new(limits.in_flight_bytes),
        }
    }

    /// The account of what requests and answers take.
    pub(crate) fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    /// Finds episodes.
    pub(crate) async fn episodes(&self, query: &Checked<SearchQuery>) -> Result<SearchResults, Error> {
        let embedded = self.embed(query).await?;
        self.rank(&embedded).await
    }

    /// Finds facts.
    pub(crate) async fn facts(
        &self,
        of: &FactsOf,
        query: &Checked<SearchQuery>,
        most: usize,
    ) -> Result<Vec<FactHit>, Error> {
        self.embedding.bind().await?;
        let known = self.engine.facts.facts(of).await?;
        if known.is_empty() {
            return Ok(vec![]);
        }
        facts::rank(known, facts::query(&self.embedding, &query.text).await?, most).await
    }

    /// Finds episodes and facts at once, with one embedding.
    pub(crate) async fn both(
        &self,
        query: &Checked<SearchQuery>,
        of: &FactsOf,
        most_facts: usize,
    ) -> Result<(SearchResults, Vec<FactHit>), Error> {
        let episodes = async {
            let embedded = self.embed(query).await?;
            Ok((self.rank(&embedded).await?, embedded.parsed))
        };
        let ((results, parsed), known) = tokio::try_join!(episodes, self.engine.facts.facts(of))?;
        Ok((results, facts::rank(known, parsed, most_facts).await?))
    }

    /// Parses a query and embeds it, with the names of producers replaced by "I" and "my".
    async fn embed<'a>(&'a self, query: &'a Checked<SearchQuery>) -> Result<EmbeddedQuery<'a>, Error> {
        self.embedding.bind().await?;
        let began = Instant::now();
        let snapshot = Snapshot::take(&self.indexes, &self.engine, &query.space).await?;
        let (text, index) = (beginning(&query.text).to_owned(), snapshot.read().await?);
        let (now, is_embedded) = (self.clock.now(), self.embedding.is_available());
        let read = compute(text.len() > INLINE_BYTES, "reading a query", move || {
            let text = QueryText::read(&text);
            let mentions = index.names.mentions(&text);
            let parsed = ParsedQuery::parse(&text, &mentions, now);
            (parsed, is_embedded.then(|| in_first_person(text.text, mentions)))
        });
        let (mut parsed, to_embed) = read.await?;
        let mut embedding = Duration::ZERO;
        if let Some(text) = to_embed {
            let began = Instant::now();
            parsed.vector = self.embedding.query(&text).await?;
            embedding = began.elapsed();
        }
        Ok(EmbeddedQuery { query, parsed: Arc::new(parsed), snapshot, began, embedding })
    }

    /// Ranks the episodes of the query's space and loads the best.
    async fn rank(&self, embedded: &EmbeddedQuery<'_>) -> Result<SearchResults, Error> {
        let EmbeddedQuery { query, parsed, snapshot, began, embedding } = embedded;
        let index = Arc::new(snapshot.read().await?);
        let rows = self.passing(&query.space, &query.filter, &index).await?;
        let (parsed, limit, weights) = (Arc::clone(parsed), query.limit(), self.weights.clone());
        let ranked =
            compute(is_large(&index), "ranking", move || ranked(&index, &parsed, &rows, limit, &weights));
        let (hits, cut, held) = self.load(query, ranked.await?).await?;
        Ok(SearchResults {
            hits,
            cut,
            held,
            embedding: *embedding,
            ranking: began.elapsed().saturating_sub(*embedding),
        })
    }

    /// The rows that pass a filter. Where the index cannot decide, it reads the episodes, some at a time.
    async fn passing(
        &self,
        space: &Space,
        filter: &Filter,
        index: &Arc<LockedIndex>,
    ) -> Result<Vec<Row>, Error> {
        let Candidates { rows, exact } = {
            let (filter, index) = (filter.clone(), Arc::clone(index));
            compute(is_large(&index), "filtering", move || filter::candidates(index.table(), &filter)).await?
        };
        if exact {
            return Ok(rows);
        }
        let mut passing = Vec::new();
        for rows in rows.chunks(STEP) {
            let ids: Vec<EpisodeId> = rows.iter().map(|&row| index.id(row)).collect();
            let mut matching = HashSet::new();
            let mut parts = Parts::new(&*self.engine.episodes, space, &ids);
            while let Some(part) = parts.next().await? {
                let part = self.matching(filter, part).await?;
                matching.extend(part.into_iter().map(|episode| episode.id));
            }
            passing.extend(rows.iter().filter(|&&row| matching.contains(&index.id(row))));
        }
        Ok(passing)
    }

    /// Those of some episodes that a filter matches. All of them are counted while they wait and are filtered.
    async fn matching(&self, filter: &Filter, mut episodes: Vec<Episode>) -> Result<Vec<Episode>, Error> {
        let held = self.in_flight.reservation();
        held.take(episodes.iter().map(Episode::size).sum())?;
        let bytes: usize = episodes.iter().map(|episode| episode.content.len()).sum();
        let filter = filter.clone();
        let matching = compute(bytes > INLINE_BYTES, "filtering", move || {
            episodes.retain(|episode| filter.matches(episode));
            episodes
        });
        matching.await
    }

    /// Loads the episodes of the ranked rows, until they are large together; then says that more were ranked. An episode
    /// that has been deleted since is left out.
    async fn load(
        &self,
        query: &Checked<SearchQuery>,
        ranked: Vec<(EpisodeId, f32, Explanation)>,
    ) -> Result<(Vec<Hit>, bool, Arc<Reservation>), Error> {
        let ids: Vec<EpisodeId> = ranked.iter().map(|(id, ..)| *id).collect();
        let (mut episodes, mut left) = (HashMap::new(), self.limits.answer_bytes);
        let (mut cut, held) = (false, self.in_flight.reservation());
        // These wait for the episodes.
        held.take(ranked.len() * RANKED_BYTES)?;
        let mut parts = Parts::new(&*self.engine.episodes, &query.space, &ids);
        while !cut && let Some(part) = parts.next().await? {
            for episode in part {
                if left == 0 {
                    cut = true;
                    break;
                }
                left = left.saturating_sub(episode.size());
                held.take(episode.size())?;
                episodes.insert(episode.id, episode);
            }
        }
        let bytes: usize = episodes.values().map(|episode| episode.content.len()).sum();
        let hits = ranked.into_iter().filter_map(|(id, score, explanation)| {
            let episode = episodes.remove(&id).filter(|episode| query.filter.matches(episode))?;
            Some(Hit { episode, score, explanation })
        });
        let hits = step_aside(bytes > INLINE_SCANNED_BYTES, || hits.collect());
        Ok((hits, cut, Arc::new(held)))
    }
}

fn is_large(index: &SpaceIndex) -> bool {
    index.end() > MAX_INLINE_ROWS
}

/// The best of some rows: their ids, scores and explanations.
fn ranked(
    index: &SpaceIndex,
    query: &ParsedQuery,
    rows: &[Row],
    limit: usize,
    weights: &RankingWeights,
) -> Vec<(EpisodeId, f32, Explanation)> {
    let ranked = rank::rank(index, query, rows, limit, weights).into_iter();
    let explained = ranked.map(|Ranked { row, score, parts }| {
        let shared_words = rank::matched_terms(index, query, row);
        (index.id(row), score, Explanation { parts, shared_words })
    });
    explained.collect()
}
