//! How a memory is found. See ARCHITECTURE.md, "search".

use std::time::Duration;

use memcloud_model::{Episode, Error, Filter, Space, TimeRange};
use serde::Serialize;

use crate::Memory;

/// A search.
#[derive(Clone, Debug)]
pub struct Question {
    /// Where to look.
    pub space: Space,
    /// What is asked, as a person would write it.
    pub text: String,
    /// Which episodes may be found.
    pub filter: Filter,
    /// The most hits to answer, at least 1.
    pub limit: usize,
}

/// The answer to a search.
#[derive(Clone, Debug)]
pub struct Found {
    /// The hits, best first.
    pub hits: Vec<Hit>,
    /// The stretch of time that the question speaks of, if it does.
    pub time_range: Option<TimeRange>,
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

/// Why an episode was found: the parts that its score is the sum of, in units of standard deviations.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// From the likeness of meaning.
    pub meaning: f32,
    /// From shared words.
    pub words: f32,
    /// The words shared with the question, as word stems.
    pub shared_words: Vec<String>,
}

/// The constants of ranking.
#[derive(Clone, Debug)]
pub struct Weights {}

impl Default for Weights {
    fn default() -> Self {
        Self {}
    }
}

/// The ranking indexes of all spaces.
pub(crate) struct Indexes {}
impl Indexes {
    pub(crate) fn new(_budget: usize) -> Self {
        Self {}
    }
}

impl Memory {
    /// Finds the episodes that answer a question, best first.
    pub async fn search(&self, question: Question) -> Result<Found, Error> {
        let _ = question;
        Err(Error::ShuttingDown)
    }
}
