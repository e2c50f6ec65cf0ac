//! The bodies of `MemMachine`'s v1 API, by the rules of its last version.

mod episode;
mod fact;
mod search;
mod session;

pub use episode::{Batch, Episode, ForgetSession, Moment, NewEpisode, Progress, Stored};
pub use fact::{Fact, FactMetadata};
pub use search::{Explanation, Hit, SearchAnswer, SearchContent, SearchQuery, SearchResult};
pub use session::{KnownSession, Session, Sessions};

/// The organization of every v1 group: v1 has no organizations.
pub const ORGANIZATION: &str = "universal";

/// The space of a v1 group.
pub fn space(group: impl Into<String>) -> memcloud_domain::Space {
    memcloud_domain::Space::new(ORGANIZATION, group)
}
