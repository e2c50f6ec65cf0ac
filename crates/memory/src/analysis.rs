//! What ranking needs to know of a text.

use memcloud_model::Episode;

/// The words and cues of an episode.
#[derive(Clone, Debug)]
pub struct Analysis {}

impl Analysis {
    /// The analysis of an episode.
    pub fn of(_episode: &Episode) -> Self {
        Self {}
    }

    /// As engines keep it.
    pub fn encode(&self) -> Vec<u8> {
        vec![]
    }
}

/// The text of an episode that is embedded.
pub(crate) fn passage(episode: &Episode) -> String {
    episode.content.clone()
}
