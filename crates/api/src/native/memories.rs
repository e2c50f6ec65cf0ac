use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::PrefixedId;
use crate::memmachine_v1::{Episode, Progress};

/// The answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchStored {
    /// `episode-` and the UUID of each episode, in the order of the request.
    pub ids: Vec<PrefixedId>,
    /// What became of them.
    pub status: Progress,
}

/// Messages, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page {
    /// The messages.
    pub episodes: Vec<ListedEpisode>,
    /// The `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// A stored message with its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListedEpisode {
    /// `episode-` and its UUID, as in the answer to the store.
    pub id: PrefixedId,
    /// The message.
    #[serde(flatten)]
    pub episode: Episode,
}

impl From<memcloud_domain::Episode> for ListedEpisode {
    fn from(episode: memcloud_domain::Episode) -> Self {
        Self { id: episode.id.into(), episode: episode.into() }
    }
}

/// How many messages were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// The number.
    pub deleted: u64,
}
