//! Ranking: which rows of a space answer a question, best first. One piece of code for every engine.
//!
//! Likeness of meaning and shared words are computed for every row that the filter lets through. The best of both and
//! what was said around them are the candidates; in a space of up to a thousand rows that is all of them. Everything
//! else that counts is added up for the candidates alone, so its cost does not grow with the space.

use std::cmp::Ordering;

use memcloud_kernels::scan;
use memcloud_model::TimeRange;

use crate::search::index::{Row, SpaceIndex};
use crate::search::{Explanation, Weights};

/// How many of the best rows by meaning, and as many by words, become candidates.
const SEEDS: usize = 512;
/// How many rows away from a seed a row may be to become a candidate with it.
const REACH: usize = 4;
/// How many of the best rows get their likeness to the question from the exact vector.
const RESCORED: usize = 40;
/// No candidate.
const NONE: u32 = u32::MAX;

/// A question, ready for ranking.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The question's terms, each once.
    pub(crate) terms: Vec<Term>,
    /// Its vector of unit length, where a model runs.
    pub(crate) vector: Option<Vec<f32>>,
    /// The producers that it names, by number, in order of mention.
    pub(crate) named: Vec<u32>,
    /// The stretch of time that it speaks of.
    pub(crate) time_range: Option<TimeRange>,
    /// Whether it asks when something happened.
    pub(crate) asks_when: bool,
}

/// A word to look for.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) id: u32,
    pub(crate) stem: String,
}

/// A row with its score and what the score is made of.
#[derive(Clone, Debug)]
pub(crate) struct Ranked {
    pub(crate) row: Row,
    pub(crate) score: f32,
    pub(crate) explanation: Explanation,
}

/// Ranks the rows that pass the filter and answers the best `limit`.
pub(crate) fn rank(
    index: &SpaceIndex,
    asked: &Asked,
    rows: &[Row],
    limit: usize,
    weights: &Weights,
) -> Vec<Ranked> {
    let likeness = likeness(index, asked.vector.as_deref(), rows);
    let words = words(index, asked, weights);
    let candidates = Candidates::choose(index, rows, &likeness, &words, limit.max(SEEDS));
    let mut ranked = score(index, asked, &candidates, &words, weights);
    ranked.sort_unstable_by(|a, b| better(index, a, b));
    if let Some(vector) = &asked.vector {
        let best = ranked.len().min(RESCORED);
        rescore(index, vector, &candidates, &mut ranked[..best], weights);
        ranked[..best].sort_unstable_by(|a, b| better(index, a, b));
    }
    ranked.truncate(limit);
    ranked
}

/// Higher scores first; among equals the newer id, so that the order is the same on every server.
fn better(index: &SpaceIndex, a: &Ranked, b: &Ranked) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then_with(|| index.id(b.row).cmp(&index.id(a.row)))
}

/// The cosine of the question and each row, from vectors of eight bits. 0 where either has no vector.
fn likeness(index: &SpaceIndex, vector: Option<&[f32]>, rows: &[Row]) -> Vec<f32> {
    let vectors = &index.vectors;
    let Some(vector) = vector.filter(|vector| vector.len() == vectors.dimensions) else {
        return vec![0.0; rows.len()];
    };
    let mut query = vec![0; vector.len()];
    let scale = scan::quantize_i8(vector, &mut query);
    let mut products = vec![0; rows.len()];
    if rows.len() == index.end() {
        scan::dot_i8(&query, &vectors.codes, &mut products);
    } else {
        scan::dot_i8_at(&query, &vectors.codes, rows, &mut products);
    }
    rows.iter()
        .zip(products)
        .map(|(&row, product)| product as f32 * scale * vectors.scales[row as usize])
        .collect()
}

/// What shared words are worth, by row.
struct Words {
    /// What a term is worth where it occurs once, by the term's place in the question.
    worth: Vec<f32>,
    /// The sum over the question's terms, by row number.
    sum: Vec<f32>,
}

/// BM25 (Robertson and Zaragoza 2009) with b = 0: a message is short, and its length says nothing against it.
fn words(index: &SpaceIndex, asked: &Asked, weights: &Weights) -> Words {
    let mut sum = vec![0.0; index.end()];
    let mut worth = Vec::with_capacity(asked.terms.len());
    for term in &asked.terms {
        let postings = index.postings(term.id);
        let idf = idf(index.len(), postings.len());
        for posting in postings {
            sum[posting.row as usize] += idf * saturation(posting.count, weights.k1);
        }
        worth.push(idf);
    }
    Words { worth, sum }
}

/// The worth of a term that `containing` of `all` rows hold: rare words say more.
fn idf(all: usize, containing: usize) -> f32 {
    let (all, containing) = (all as f32, containing as f32);
    (1.0 + (all - containing + 0.5) / (containing + 0.5)).ln()
}

/// A word said twice counts more than once, but less than double.
fn saturation(count: u8, k1: f32) -> f32 {
    let count = f32::from(count);
    count * (k1 + 1.0) / (count + k1)
}

/// The rows that may be answered, with what is known of them.
struct Candidates {
    rows: Vec<Row>,
    likeness: Vec<f32>,
    /// For each candidate the candidates said up to [`REACH`] rows before and after it in its sitting, by distance:
    /// index `REACH` is the candidate itself.
    around: Vec<[u32; 2 * REACH + 1]>,
    /// The place of each row among the candidates, or [`NONE`]; by row number.
    place: Vec<u32>,
}

impl Candidates {
    fn choose(index: &SpaceIndex, rows: &[Row], likeness: &[f32], words: &Words, seeds: usize) -> Self {
        // place: NONE = not let through by the filter, otherwise first the place among `rows`.
        let mut place = vec![NONE; index.end()];
        for (at, &row) in rows.iter().enumerate() {
            place[row as usize] = at as u32;
        }
        let mut chosen = vec![false; rows.len()];
        if rows.len() <= 2 * seeds {
            chosen.fill(true);
        } else {
            let by_words: Vec<f32> = rows.iter().map(|&row| words.sum[row as usize]).collect();
            for seed in best(likeness, seeds).into_iter().chain(best(&by_words, seeds)) {
                chosen[seed as usize] = true;
                for row in walk(index, rows[seed as usize], SpaceIndex::previous).chain(walk(
                    index,
                    rows[seed as usize],
                    SpaceIndex::next,
                )) {
                    if let Some(chosen) = chosen.get_mut(place[row as usize] as usize) {
                        *chosen = true;
                    }
                }
            }
        }
        let kept: Vec<u32> = (0..rows.len() as u32).filter(|&at| chosen[at as usize]).collect();
        place.fill(NONE);
        for (at, &from) in kept.iter().enumerate() {
            place[rows[from as usize] as usize] = at as u32;
        }
        let mut candidates = Self {
            rows: kept.iter().map(|&at| rows[at as usize]).collect(),
            likeness: kept.iter().map(|&at| likeness[at as usize]).collect(),
            around: Vec::with_capacity(kept.len()),
            place,
        };
        candidates.look_around(index);
        candidates
    }

    fn look_around(&mut self, index: &SpaceIndex) {
        for (at, &row) in self.rows.iter().enumerate() {
            let mut around = [NONE; 2 * REACH + 1];
            around[REACH] = at as u32;
            for (distance, row) in walk(index, row, SpaceIndex::previous).enumerate() {
                around[REACH - 1 - distance] = self.place[row as usize];
            }
            for (distance, row) in walk(index, row, SpaceIndex::next).enumerate() {
                around[REACH + 1 + distance] = self.place[row as usize];
            }
            self.around.push(around);
        }
    }
}

/// The rows up to [`REACH`] steps away.
fn walk<'a>(
    index: &'a SpaceIndex,
    from: Row,
    step: impl Fn(&SpaceIndex, Row) -> Option<Row> + 'a,
) -> impl Iterator<Item = Row> + 'a {
    std::iter::successors(step(index, from), move |&row| step(index, row)).take(REACH)
}

/// The places of the `count` highest values; among equals the later places.
fn best(values: &[f32], count: usize) -> Vec<u32> {
    let mut places: Vec<u32> = (0..values.len() as u32).collect();
    if count < places.len() {
        places.select_nth_unstable_by(count, |&a, &b| {
            values[b as usize].total_cmp(&values[a as usize]).then(b.cmp(&a))
        });
        places.truncate(count);
    }
    places
}

/// Adds up all that counts for each candidate. See ARCHITECTURE.md, "search", for the reasons.
fn score(
    index: &SpaceIndex,
    asked: &Asked,
    candidates: &Candidates,
    words: &Words,
    weights: &Weights,
) -> Vec<Ranked> {
    let meaning = standardised(&candidates.likeness);
    let shared = shared_words(index, asked, candidates, words, weights);
    let sums: Vec<f32> = shared.iter().map(|terms| terms.iter().sum()).collect();
    let by_words = standardised(&sums);
    let mut ranked: Vec<Ranked> = (0..candidates.rows.len())
        .map(|at| {
            let row = candidates.rows[at];
            let mut nearby = 0.0;
            for (offset, share) in weights.meaning_around {
                let neighbour = candidates.around[at][REACH.wrapping_add_signed(offset)];
                nearby += meaning.get(neighbour as usize).map_or(0.0, |z| share * z);
            }
            let explanation = Explanation {
                meaning: weights.meaning * meaning[at],
                meaning_around: weights.meaning * nearby,
                words: weights.words * by_words[at],
                ..cues(index, asked, row, weights)
            };
            Ranked {
                row,
                score: explanation.sum(),
                explanation,
            }
        })
        .collect();
    add_sittings(index, &mut ranked, weights);
    ranked
}

/// What each term of the question is worth at each candidate: where it is said, and to a share where it is said
/// nearby; the largest counts.
fn shared_words(
    index: &SpaceIndex,
    asked: &Asked,
    candidates: &Candidates,
    words: &Words,
    weights: &Weights,
) -> Vec<Vec<f32>> {
    let mut own = vec![vec![0.0; asked.terms.len()]; candidates.rows.len()];
    for (term, worth) in words.worth.iter().enumerate() {
        for posting in index.postings(asked.terms[term].id) {
            if let Some(own) = own.get_mut(candidates.place[posting.row as usize] as usize) {
                own[term] = worth * saturation(posting.count, weights.k1);
            }
        }
    }
    candidates
        .around
        .iter()
        .enumerate()
        .map(|(at, around)| {
            let mut best = own[at].clone();
            for (offset, share) in weights.words_around {
                if let Some(said) = own.get(around[REACH.wrapping_add_signed(offset)] as usize) {
                    for (best, said) in best.iter_mut().zip(said) {
                        *best = best.max(share * said);
                    }
                }
            }
            best
        })
        .collect()
}

/// What a row is worth beside meaning and words.
fn cues(index: &SpaceIndex, asked: &Asked, row: Row, weights: &Weights) -> Explanation {
    let cues = index.cues(row);
    let given = |condition: bool, weight: f32| if condition { weight } else { 0.0 };
    let named = match asked.named.as_slice() {
        [] => 0.0,
        [only] => given(index.producer(row) == *only, weights.named),
        [first, ..] => given(index.producer(row) == *first, weights.named_first),
    };
    let inside = asked.time_range.is_some_and(|range| {
        (range.start.as_micros()..range.end.as_micros()).contains(&index.created_at(row))
    });
    Explanation {
        named,
        question: given(cues.question, weights.question),
        time_words: given(asked.asks_when && cues.time_words, weights.time_words),
        time_range: given(inside, weights.time_range),
        ..Explanation::default()
    }
}

/// Gives each row a share of the best score in its sitting: where one message answers, those around it belong to it.
fn add_sittings(index: &SpaceIndex, ranked: &mut [Ranked], weights: &Weights) {
    let mut best = std::collections::HashMap::new();
    for ranked in &*ranked {
        let best = best.entry(index.sitting(ranked.row)).or_insert(0.0_f32);
        *best = best.max(ranked.score);
    }
    for ranked in ranked {
        ranked.explanation.sitting = weights.sitting * best[&index.sitting(ranked.row)];
        ranked.score = ranked.explanation.sum();
    }
}

/// Replaces the meaning of the best rows by what their exact vectors say.
fn rescore(
    index: &SpaceIndex,
    vector: &[f32],
    candidates: &Candidates,
    best: &mut [Ranked],
    weights: &Weights,
) {
    if vector.len() != index.vectors.dimensions {
        return;
    }
    let (mean, deviation) = mean_and_deviation(&candidates.likeness);
    if deviation <= SMALL {
        return;
    }
    for ranked in best {
        let exact = index.vectors.likeness(ranked.row, vector);
        ranked.explanation.meaning = weights.meaning * (exact - mean) / deviation;
        ranked.score = ranked.explanation.sum();
    }
}

/// Below this deviation all values count as equal.
const SMALL: f32 = 1e-9;

/// Each value as its distance from the mean, in standard deviations; zeros when all are equal.
fn standardised(values: &[f32]) -> Vec<f32> {
    let (mean, deviation) = mean_and_deviation(values);
    let unit = if deviation > SMALL { 1.0 / deviation } else { 0.0 };
    values.iter().map(|value| (value - mean) * unit).collect()
}

/// The mean and the standard deviation of the whole (not of a sample).
fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    (mean as f32, variance.sqrt() as f32)
}

/// The terms of the question that a row holds itself, as stems.
pub(crate) fn held_terms(index: &SpaceIndex, asked: &Asked, row: Row) -> Vec<String> {
    let holds = |term: &&Term| {
        index
            .postings(term.id)
            .binary_search_by_key(&row, |posting| posting.row)
            .is_ok()
    };
    asked
        .terms
        .iter()
        .filter(holds)
        .map(|term| term.stem.clone())
        .collect()
}
