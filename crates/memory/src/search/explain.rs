use serde::Serialize;

/// Why an episode was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// What its score is the sum of.
    #[serde(flatten)]
    pub parts: ScoreBreakdown,
    /// The words of the question that it holds itself, as stems.
    pub shared_words: Vec<String>,
}

/// The parts of a score. Meaning and words are in standard deviations from the mean of the best candidates, times their
/// weight; the others are set amounts. See [`RankingWeights`](crate::RankingWeights).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ScoreBreakdown {
    /// What it says is like what is asked.
    pub meaning: f32,
    /// What is said around it is like what is asked.
    pub meaning_around: f32,
    /// It, or what is said around it, holds words of the question.
    pub words: f32,
    /// The question names its producer.
    pub named: f32,
    /// Its segment holds a good answer.
    pub segment: f32,
    /// It is itself a question (negative).
    pub question: f32,
    /// The question asks when, and it holds words of time.
    pub time_words: f32,
    /// It happened in the stretch of time that the question speaks of.
    pub time_range: f32,
}

impl ScoreBreakdown {
    /// What it says and who says it, without the cues.
    pub(crate) fn answer(&self) -> f32 {
        self.meaning + self.meaning_around + self.words + self.named
    }

    /// The score: the sum of all parts.
    pub fn sum(&self) -> f32 {
        self.answer() + self.segment + self.question + self.time_words + self.time_range
    }
}
