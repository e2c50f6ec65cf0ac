//! Explanations: why an episode was found.

use serde::Serialize;

/// Why an episode was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// The parts of its score.
    #[serde(flatten)]
    pub parts: ScoreBreakdown,
    /// The query's terms that it contains itself, as stems.
    pub shared_words: Vec<String>,
}

/// The parts of a score. Meaning and words are standard deviations from the mean of the best candidates, times their
/// weight; the others are fixed amounts. See [`RankingWeights`](crate::RankingWeights).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ScoreBreakdown {
    /// It is similar to the query.
    pub meaning: f32,
    /// Messages around it are similar to the query.
    pub meaning_around: f32,
    /// It, or messages around it, contain words of the query.
    pub words: f32,
    /// The query names its producer.
    pub named: f32,
    /// Its segment contains a good answer.
    pub segment: f32,
    /// It is itself a question (negative).
    pub question: f32,
    /// The query asks when, and it says when something happened.
    pub time_words: f32,
    /// It happened in the time range that the query mentions.
    pub time_range: f32,
}

impl ScoreBreakdown {
    /// Meaning, words and producer, without the cues.
    pub(crate) fn answer(&self) -> f32 {
        self.meaning + self.meaning_around + self.words + self.named
    }

    /// The score: the sum of all parts.
    pub fn sum(&self) -> f32 {
        self.answer() + self.segment + self.question + self.time_words + self.time_range
    }
}
