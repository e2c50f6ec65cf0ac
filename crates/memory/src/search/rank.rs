//! Ranking: which rows of a space answer a query, best first. The same code for every engine.
//!
//! Similarity and shared terms are computed for every row that passes the filter. The best rows by either, and the rows
//! around them, are the candidates; in a space of a few hundred rows all rows are. All other parts of the score are
//! computed for the candidates alone, so their cost does not grow with the space.

use std::cmp::Ordering;

use memcloud_kernels::scan;

use crate::search::explain::ScoreBreakdown;
use crate::search::index::{Row, SpaceIndex};
use crate::search::query::{ParsedQuery, Term};
use crate::search::table::Name;
use crate::search::weights::RankingWeights;

/// How many of the best rows by similarity, and as many by terms, become candidates.
const SEEDS: usize = 200;
/// Rows up to this far from a seed become candidates with it.
const REACH: usize = 4;
/// How many of the best rows are scored again with their exact vectors.
const RESCORED: usize = 40;
/// How many of the best candidates by similarity, and as many by terms, set the scales of both.
const SAMPLE: usize = 100;
/// Fewer rows than this are scanned by one thread, more by [`SCANNERS`].
const SCANNED_ALONE: usize = 20_000;
const SCANNERS: usize = 2;
/// Not a candidate.
const NONE: u32 = u32::MAX;

/// A row with its score and the parts of the score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked {
    pub(crate) row: Row,
    pub(crate) score: f32,
    pub(crate) parts: ScoreBreakdown,
}

/// Ranks the rows that pass the filter and returns the best `limit`.
pub(crate) fn rank(
    index: &SpaceIndex,
    query: &ParsedQuery,
    rows: &[Row],
    limit: usize,
    weights: &RankingWeights,
) -> Vec<Ranked> {
    let similarity = similarity(index, query.vector.as_deref(), rows);
    let words = words(index, query, weights);
    let candidates = Candidates::choose(index, rows, similarity, &words, limit.max(SEEDS));
    let Scored { mut ranked, meaning_scale } = score(index, query, &candidates, &words, weights);
    let kept = limit.max(RESCORED);
    if kept < ranked.len() {
        ranked.select_nth_unstable_by(kept, |a, b| better(index, a, b));
        ranked.truncate(kept);
    }
    ranked.sort_unstable_by(|a, b| better(index, a, b));
    if let Some(vector) = &query.vector {
        let best = ranked.len().min(RESCORED);
        rescore(index, vector, meaning_scale, &mut ranked[..best], weights);
        ranked[..best].sort_unstable_by(|a, b| better(index, a, b));
    }
    ranked.truncate(limit);
    ranked
}

/// Higher scores come first; among equals the newer id, so that every server returns the same order.
fn better(index: &SpaceIndex, a: &Ranked, b: &Ranked) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| index.id(b.row).cmp(&index.id(a.row)))
}

/// The cosine of the query and each row, from their 8-bit vectors. 0 where either has no vector.
fn similarity(index: &SpaceIndex, vector: Option<&[f32]>, rows: &[Row]) -> Vec<f32> {
    let vectors = &index.vectors;
    let Some(vector) = vector.filter(|vector| vector.len() == vectors.dimensions) else {
        return vec![0.0; rows.len()];
    };
    let mut query = vec![0; vector.len()];
    let scale = scan::quantize_i8(vector, &mut query);
    let mut products = vec![0; rows.len()];
    let everything = rows.len() == index.end();
    // A large scan waits for RAM, and two cores fetch more than one.
    let part = rows.len().div_ceil(if rows.len() < SCANNED_ALONE { 1 } else { SCANNERS }).max(1);
    std::thread::scope(|threads| {
        let mut parts = products.chunks_mut(part).zip(rows.chunks(part)).enumerate();
        let first = parts.next();
        let scan = |at: usize, products: &mut [i32], rows: &[Row]| {
            if everything {
                let codes = &vectors.codes[at * part * query.len()..][..rows.len() * query.len()];
                scan::dot_i8(&query, codes, products);
            } else {
                scan::dot_i8_at(&query, &vectors.codes, rows, products);
            }
        };
        for (at, (products, rows)) in parts {
            threads.spawn(move || scan(at, products, rows));
        }
        if let Some((at, (products, rows))) = first {
            scan(at, products, rows);
        }
    });
    rows.iter()
        .zip(products)
        .map(|(&row, product)| product as f32 * scale * vectors.scales[row as usize])
        .collect()
}

/// What shared terms are worth, by row.
struct Words {
    /// The inverse document frequency of each term, in the order of the query.
    worth: Vec<f32>,
    /// The sum over the query's terms, by row number.
    sum: Vec<f32>,
}

/// BM25 (Robertson and Zaragoza 2009) with b = 0: messages are short, and a long one is not worth less.
fn words(index: &SpaceIndex, query: &ParsedQuery, weights: &RankingWeights) -> Words {
    let mut sum = vec![0.0; index.end()];
    let mut worth = Vec::with_capacity(query.ranked_terms().len());
    for term in query.ranked_terms() {
        let postings = index.postings(term.id);
        let idf = idf(index.len(), postings.len());
        for posting in postings {
            sum[posting.row as usize] += idf * saturation(posting.count, weights.k1);
        }
        worth.push(idf);
    }
    Words { worth, sum }
}

/// The inverse document frequency of a term that `containing` of `all` rows contain: rare terms are worth more.
fn idf(all: usize, containing: usize) -> f32 {
    let (all, containing) = (all as f32, containing as f32);
    (1.0 + (all - containing + 0.5) / (containing + 0.5)).ln()
}

/// A term that occurs twice counts more than once, but less than double.
fn saturation(count: u8, k1: f32) -> f32 {
    let count = f32::from(count);
    count * (k1 + 1.0) / (count + k1)
}

/// The rows that may be returned, with what is known about them.
struct Candidates {
    rows: Vec<Row>,
    similarity: Vec<f32>,
    /// For each candidate, the candidates up to [`REACH`] rows before and after it in its segment, by distance: index
    /// `REACH` is the candidate itself.
    around: Vec<[u32; 2 * REACH + 1]>,
    /// The place of each row among the candidates, or [`NONE`]; by row number.
    place: Vec<u32>,
}

impl Candidates {
    fn choose(index: &SpaceIndex, rows: &[Row], similarity: Vec<f32>, words: &Words, seeds: usize) -> Self {
        let (rows, similarity) = if rows.len() <= 2 * seeds {
            (rows.to_vec(), similarity)
        } else {
            let chosen = around_the_best(index, rows, &similarity, words, seeds);
            chosen.into_iter().map(|at| (rows[at as usize], similarity[at as usize])).unzip()
        };
        let mut place = vec![NONE; index.end()];
        for (at, &row) in rows.iter().enumerate() {
            place[row as usize] = at as u32;
        }
        let around = Vec::with_capacity(rows.len());
        let mut candidates = Self { rows, similarity, around, place };
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

/// The places, among `rows`, of the best rows by similarity, the best by terms, and the rows around them; ascending.
fn around_the_best(
    index: &SpaceIndex,
    rows: &[Row],
    similarity: &[f32],
    words: &Words,
    seeds: usize,
) -> Vec<u32> {
    let shared = best(rows.iter().map(|&row| words.sum[row as usize]), seeds, 0.0);
    let alike = best(similarity.iter().copied(), seeds, f32::NEG_INFINITY);
    let mut chosen: Vec<u32> = Vec::new();
    for seed in shared.into_iter().chain(alike) {
        let row = rows[seed as usize];
        chosen.push(seed);
        let near = walk(index, row, SpaceIndex::previous).chain(walk(index, row, SpaceIndex::next));
        if rows.len() == index.end() {
            chosen.extend(near);
        } else {
            // Rows that the filter excludes are not in `rows`, which is ascending.
            chosen.extend(near.filter_map(|row| rows.binary_search(&row).ok()).map(|at| at as u32));
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// The rows up to [`REACH`] steps away.
fn walk<'a>(
    index: &'a SpaceIndex,
    from: Row,
    step: impl Fn(&SpaceIndex, Row) -> Option<Row> + 'a,
) -> impl Iterator<Item = Row> + 'a {
    std::iter::successors(step(index, from), move |&row| step(index, row)).take(REACH)
}

/// The places of the `count` highest values above `floor`, unordered; among equals the later places.
fn best(values: impl Iterator<Item = f32>, count: usize, floor: f32) -> Vec<u32> {
    let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1));
    // Gathers twice as many as wanted, then halves them: most values are compared only once, with the least one kept.
    let mut gathered: Vec<(f32, u32)> = Vec::with_capacity(2 * count);
    let halve = |gathered: &mut Vec<(f32, u32)>, floor: &mut f32| {
        if count < gathered.len() {
            gathered.select_nth_unstable_by(count, order);
            *floor = gathered[count].0;
            gathered.truncate(count);
        }
    };
    let mut least = floor;
    for (place, value) in values.enumerate() {
        if value >= least && value > floor {
            gathered.push((value, place as u32));
            if gathered.len() == 2 * count {
                halve(&mut gathered, &mut least);
            }
        }
    }
    halve(&mut gathered, &mut least);
    gathered.into_iter().map(|(_, place)| place).collect()
}

/// Scores each candidate. ARCHITECTURE.md, "search", gives the reasons.
fn score(
    index: &SpaceIndex,
    query: &ParsedQuery,
    candidates: &Candidates,
    words: &Words,
    weights: &RankingWeights,
) -> Scored {
    let shared = shared_words(index, query, candidates, words, weights);
    let sample = sample(candidates, &shared, query.vector.is_some());
    let (meaning_scale, words_scale) =
        (Scale::of(&candidates.similarity, &sample), Scale::of(&shared, &sample));
    // Without an embedder, terms carry the weight of meaning too.
    let words_weight = if query.vector.is_some() { weights.words } else { weights.words + weights.meaning };
    let named = index.names.producers(&query.named);
    let mut ranked: Vec<Ranked> = (0..candidates.rows.len())
        .map(|at| {
            let row = candidates.rows[at];
            let around = weights.meaning_around.iter().filter_map(|(offset, share)| {
                let neighbor = candidates.around[at][REACH.wrapping_add_signed(*offset)];
                Some(share * meaning_scale.apply(*candidates.similarity.get(neighbor as usize)?))
            });
            let parts = ScoreBreakdown {
                meaning: weights.meaning * meaning_scale.apply(candidates.similarity[at]),
                meaning_around: weights.meaning * around.sum::<f32>(),
                words: words_weight * words_scale.apply(shared[at]),
                ..cues(index, query, &named, row, weights)
            };
            Ranked { row, score: 0.0, parts }
        })
        .collect();
    add_segments(index, &mut ranked, weights);
    Scored { ranked, meaning_scale }
}

struct Scored {
    ranked: Vec<Ranked>,
    meaning_scale: Scale,
}

/// What the query's terms are worth at each candidate: fully where a term occurs, and a share where it occurs nearby. For
/// each term only the largest counts, so that a word in three messages in a row does not count three times.
fn shared_words(
    index: &SpaceIndex,
    query: &ParsedQuery,
    candidates: &Candidates,
    words: &Words,
    weights: &RankingWeights,
) -> Vec<f32> {
    let mut sum = vec![0.0; candidates.rows.len()];
    let mut own = vec![0.0; candidates.rows.len()];
    for (term, worth) in query.ranked_terms().iter().zip(&words.worth) {
        own.fill(0.0);
        for posting in index.postings(term.id) {
            if let Some(own) = own.get_mut(candidates.place[posting.row as usize] as usize) {
                *own = worth * saturation(posting.count, weights.k1);
            }
        }
        for ((sum, &own_worth), around) in sum.iter_mut().zip(&own).zip(&candidates.around) {
            let nearby = weights.words_around.iter().filter_map(|(offset, share)| {
                Some(share * own.get(around[REACH.wrapping_add_signed(*offset)] as usize)?)
            });
            *sum += nearby.fold(own_worth, f32::max);
        }
    }
    sum
}

/// The candidates that set the scales: the best by similarity and by terms. Over a whole space, mean and deviation would
/// shrink as the space grows, and the fixed weights of the cues would lose their meaning.
fn sample(candidates: &Candidates, shared: &[f32], by_meaning: bool) -> Vec<u32> {
    if candidates.rows.len() <= 2 * SAMPLE {
        return (0..candidates.rows.len() as u32).collect();
    }
    let mut sample = best(shared.iter().copied(), SAMPLE, 0.0);
    if by_meaning {
        sample.extend(best(candidates.similarity.iter().copied(), SAMPLE, f32::NEG_INFINITY));
        sample.sort_unstable();
        sample.dedup();
    }
    sample
}

/// Standardizes values: their distance from the mean, in standard deviations.
#[derive(Clone, Copy)]
struct Scale {
    mean: f32,
    /// One over the standard deviation; 0 when all values are equal.
    unit: f32,
}

impl Scale {
    /// The scale of the values at these places, with the deviation of a population, not of a sample.
    fn of(values: &[f32], places: &[u32]) -> Self {
        let count = places.len().max(1) as f64;
        let chosen = || places.iter().map(|&at| f64::from(values[at as usize]));
        let mean = chosen().sum::<f64>() / count;
        let deviation = (chosen().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        Self { mean: mean as f32, unit: if deviation > 1e-9 { (1.0 / deviation) as f32 } else { 0.0 } }
    }

    fn apply(self, value: f32) -> f32 {
        (value - self.mean) * self.unit
    }
}

/// What a row is worth besides meaning and terms.
fn cues(
    index: &SpaceIndex,
    query: &ParsedQuery,
    named: &[Name],
    row: Row,
    weights: &RankingWeights,
) -> ScoreBreakdown {
    let cues = index.cues(row);
    let given = |condition: bool, weight: f32| if condition { weight } else { 0.0 };
    let inside = query.time_range.is_some_and(|range| index.happened_in(row, range));
    ScoreBreakdown {
        named: given(named.binary_search(&index.producer(row)).is_ok(), weights.named),
        question: given(cues.question, weights.question),
        time_words: given(query.asks_when && cues.time_words, weights.time_words),
        time_range: given(inside, weights.time_range),
        ..ScoreBreakdown::default()
    }
}

/// Gives each row a share of the best score in its segment, without cues: messages around a good answer belong to it.
fn add_segments(index: &SpaceIndex, ranked: &mut [Ranked], weights: &RankingWeights) {
    let mut best = vec![0.0_f32; index.segments()];
    for ranked in &*ranked {
        let best = &mut best[index.segment(ranked.row) as usize];
        *best = best.max(ranked.parts.answer());
    }
    for ranked in ranked {
        ranked.parts.segment = weights.segment * best[index.segment(ranked.row) as usize];
        ranked.score = ranked.parts.sum();
    }
}

/// Computes the meaning of the best rows again, with their exact vectors.
fn rescore(index: &SpaceIndex, vector: &[f32], scale: Scale, best: &mut [Ranked], weights: &RankingWeights) {
    if vector.len() != index.vectors.dimensions {
        return;
    }
    for ranked in best {
        ranked.parts.meaning = weights.meaning * scale.apply(index.vectors.similarity(ranked.row, vector));
        ranked.score = ranked.parts.sum();
    }
}

/// The query's terms that a row itself contains, as stems.
pub(crate) fn matched_terms(index: &SpaceIndex, query: &ParsedQuery, row: Row) -> Vec<String> {
    let holds =
        |term: &&Term| index.postings(term.id).binary_search_by_key(&row, |posting| posting.row).is_ok();
    query.ranked_terms().iter().filter(holds).map(|term| term.stem.clone()).collect()
}
