//! How a memory is found: what the question says (`names`, `time_phrases`), the one derived index of a space
//! (`index`, `indexes`), filters as row sets (`filter`), and ranking (`rank`).
//! ARCHITECTURE.md walks through a search.

mod explain;
mod filter;
mod index;
mod indexes;
mod names;
mod rank;
mod time_phrases;
mod weights;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memcloud_domain::{Episode, EpisodeId, Error, Filter, Space};

use crate::Memory;
use crate::search::index::SpaceIndex;
use crate::search::rank::{ParsedQuery, Ranked, Term};
use crate::search::time_phrases::time_range;
use crate::text::cues::asks_when;
use crate::text::words::{Word, term, term_id, words};

pub use explain::{Explanation, ScoreBreakdown};
pub(crate) use indexes::Indexes;
pub use weights::RankingWeights;

/// What of a long question is read, in bytes and in different words. The model reads no more than this either.
const QUESTION_BYTES: usize = 8_192;
const QUESTION_TERMS: usize = 64;

/// Spaces of up to so many rows are ranked on the thread that serves the request: that takes less time than the way to
/// another thread and back.
const RANKED_AT_ONCE: usize = 20_000;

/// A search.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// Where to look.
    pub space: Space,
    /// What is asked, as a person would write it.
    pub text: String,
    /// Which episodes may be found.
    pub filter: Filter,
    /// The most hits to answer: at least 1, at most [`Limits::results`](crate::Limits::results).
    pub limit: usize,
}

/// A text with its embedding, for whoever needs it once more.
pub(crate) struct Embedded {
    pub(crate) text: String,
    pub(crate) vector: Arc<Vec<f32>>,
}

/// The answer to a search.
#[derive(Clone, Debug)]
pub struct SearchResults {
    /// The hits, best first.
    pub hits: Vec<Hit>,
    /// How long the embedding of the question took; zero when no model runs.
    pub embedding: Duration,
    /// How long the rest took.
    pub ranking: Duration,
}

/// An episode that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The episode.
    pub episode: Episode,
    /// Its score: higher is better, comparable within one answer only.
    pub score: f32,
    /// Why it is there.
    pub explanation: Explanation,
}

impl Memory {
    /// Finds the episodes that answer a question, best first. Everything that was stored before the call is looked at.
    pub async fn search(&self, question: SearchQuery) -> Result<SearchResults, Error> {
        self.search_with_vector(question).await.map(|(found, _)| found)
    }

    /// The same, and the question's embedding, for whoever looks for more than episodes.
    pub(crate) async fn search_with_vector(
        &self,
        question: SearchQuery,
    ) -> Result<(SearchResults, Option<Embedded>), Error> {
        self.check_question(&question)?;
        self.bind().await?;
        let began = Instant::now();
        let text = &question.text[..question.text.floor_char_boundary(QUESTION_BYTES)];
        let (mut index, head) = self.indexes.caught_up(&self.store, &question.space).await?;
        let told = {
            let index = index.read().await;
            names::as_told_by_themselves(text, index.producers().map(|(_, name)| name))
        };
        // Not held while the model works: others could not bring the index up to date meanwhile.
        let (vector, embedding) = self.embed_question(&told).await?;
        let vector = vector.map(Arc::new);
        let index = loop {
            let ready = index.clone().read_owned().await;
            // Someone may have begun to build it anew and given up.
            if ready.sequence >= head {
                break ready;
            }
            drop(ready);
            index = self.indexes.caught_up(&self.store, &question.space).await?.0;
        };
        let asked = self.ask(text, vector.clone(), &index);
        let (filter, limit, weights) = (question.filter.clone(), question.limit, self.weights.clone());
        let small = index.end() <= RANKED_AT_ONCE;
        let ranking = move || ranked(&index, &asked, &filter, limit, &weights);
        let ranked = if small {
            ranking()
        } else {
            let ranked = tokio::task::spawn_blocking(ranking).await;
            ranked.map_err(|panic| Error::Storage { doing: "ranking", source: panic.into() })?
        };
        let hits = self.load(&question, ranked).await?;
        let found = SearchResults { hits, embedding, ranking: began.elapsed().saturating_sub(embedding) };
        Ok((found, vector.map(|vector| Embedded { text: told, vector })))
    }

    fn check_question(&self, question: &SearchQuery) -> Result<(), Error> {
        if question.text.trim().is_empty() {
            return Err(Error::EmptyQuery);
        }
        if question.text.len() > self.limits.content_bytes {
            return Err(Error::ContentTooLong {
                bytes: question.text.len(),
                limit: self.limits.content_bytes,
            });
        }
        self.check_name("group_id", &question.space.project)?;
        if question.limit == 0 || question.limit > self.limits.results {
            return Err(Error::LimitOutOfRange { given: question.limit as i64, max: self.limits.results });
        }
        Ok(())
    }

    /// The embedding of a text, where a model runs, and how long it took.
    pub(crate) async fn embed_question(&self, text: &str) -> Result<(Option<Vec<f32>>, Duration), Error> {
        let Some(embedder) = &self.embedder else {
            return Ok((None, Duration::ZERO));
        };
        let began = Instant::now();
        let vector = embedder.embed_query(text).await?;
        Ok((Some(vector), began.elapsed()))
    }

    fn ask(&self, text: &str, vector: Option<Arc<Vec<f32>>>, index: &SpaceIndex) -> ParsedQuery {
        let said: Vec<Word<'_>> = words(text).collect();
        let mut asked_terms: Vec<Term> = Vec::new();
        for stem in said.iter().filter_map(term) {
            let id = term_id(&stem);
            if asked_terms.len() < QUESTION_TERMS && asked_terms.iter().all(|known| known.id != id) {
                asked_terms.push(Term { id, stem });
            }
        }
        ParsedQuery {
            terms: asked_terms,
            vector,
            named: names::first_named(text, index.producers()),
            time_range: time_range(text, self.clock.now()),
            asks_when: asks_when(&said),
        }
    }

    /// The episodes of the ranked rows. One that was deleted in the meantime is left out.
    async fn load(
        &self,
        question: &SearchQuery,
        ranked: Vec<(EpisodeId, f32, Explanation)>,
    ) -> Result<Vec<Hit>, Error> {
        let ids: Vec<EpisodeId> = ranked.iter().map(|(id, ..)| *id).collect();
        let episodes = self.store.episodes.episodes(&question.space, &ids).await?;
        let mut episodes: HashMap<EpisodeId, Episode> = episodes.into_iter().map(|e| (e.id, e)).collect();
        let hits = ranked.into_iter().filter_map(|(id, score, explanation)| {
            let episode = episodes.remove(&id).filter(|episode| question.filter.matches(episode))?;
            Some(Hit { episode, score, explanation })
        });
        Ok(hits.collect())
    }
}

/// The best rows that pass the filter, by id, with their scores and explanations.
fn ranked(
    index: &SpaceIndex,
    asked: &ParsedQuery,
    filter: &Filter,
    limit: usize,
    weights: &RankingWeights,
) -> Vec<(EpisodeId, f32, Explanation)> {
    let rows = filter::rows(index, filter);
    let ranked = rank::rank(index, asked, &rows, limit, weights).into_iter();
    let explained = ranked.map(|Ranked { row, score, parts }| {
        let shared_words = rank::matched_terms(index, asked, row);
        (index.id(row), score, Explanation { parts, shared_words })
    });
    explained.collect()
}
