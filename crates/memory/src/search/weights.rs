/// The constants of ranking. The optimum is flat: none of them is worth more than a point or two of recall when moved
/// by a third, so they are round numbers, chosen on conversations that were not used to judge them.
#[derive(Clone, Debug)]
pub struct RankingWeights {
    /// The share of meaning, per standard deviation of the cosine.
    pub meaning: f32,
    /// The share of words, per standard deviation of BM25.
    pub words: f32,
    /// How soon a word that is repeated stops to count more (BM25's `k1`).
    pub k1: f32,
    /// What a row gains from the meaning of rows said before (negative) and after it in the same segment: distance, and
    /// share of their standardised cosine. All are added up.
    pub meaning_around: [(isize, f32); 6],
    /// To which share a word counts that is said before (negative) or after the row in the same segment. The largest
    /// counts, so nothing is counted twice.
    pub words_around: [(isize, f32); 7],
    /// For rows of the producer whom the question names first.
    pub named: f32,
    /// The share of the best score in the segment that each of its rows gains.
    pub segment: f32,
    /// For rows that are questions themselves: they seldom answer one.
    pub question: f32,
    /// For rows with words of time, when the question asks when.
    pub time_words: f32,
    /// For rows that happened in the stretch of time that the question speaks of.
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
