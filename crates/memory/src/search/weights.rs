/// The constants of ranking. The optimum is flat: moving any of them by a third changes recall by a point or two at most,
/// so they are round numbers. They were chosen on other conversations than those that measure recall.
#[derive(Clone, Debug)]
pub struct RankingWeights {
    /// The weight of meaning, per standard deviation of the cosine.
    pub meaning: f32,
    /// The weight of words, per standard deviation of BM25.
    pub words: f32,
    /// How soon a repeated word stops counting more (BM25's `k1`).
    pub k1: f32,
    /// What a row gains from rows before (negative) and after it in its segment: distance, and share of their standardized
    /// cosine. All are added up.
    pub meaning_around: [(isize, f32); 6],
    /// The share to which a word counts that occurs before (negative) or after the row in its segment. Only the largest
    /// counts, so nothing is counted twice.
    pub words_around: [(isize, f32); 7],
    /// For rows of the producer that the query names first.
    pub named: f32,
    /// The share of the best score in a segment that each of its rows gains.
    pub segment: f32,
    /// For rows that are questions themselves: they seldom answer one.
    pub question: f32,
    /// For rows that say when something happened, when the query asks when.
    pub time_words: f32,
    /// For rows that happened in the time range that the query mentions.
    pub time_range: f32,
}

impl Default for RankingWeights {
    fn default() -> Self {
        Self {
            meaning: 0.5,
            words: 0.5,
            k1: 0.9,
            meaning_around: [(-1, 0.25), (1, 0.2), (-2, 0.15), (2, 0.1), (-3, 0.05), (3, 0.05)],
            words_around: [(-1, 0.7), (1, 0.5), (-2, 0.4), (2, 0.2), (-3, 0.2), (3, 0.1), (-4, 0.1)],
            named: 2.0,
            segment: 0.1,
            question: -0.5,
            time_words: 0.6,
            time_range: 1.5,
        }
    }
}
