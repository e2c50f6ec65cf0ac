//! The bodies of our own endpoints.

mod chat;
mod erasure;
mod health;
mod keys;
mod memories;
mod profile;
mod spaces;
mod usage;

pub use chat::{
    ChatAnswer, ChatContext, ChatDelta, ChatEnd, ChatRequest, ChatStreamEvent, ChatUsage, UsedFact,
    UsedMemory,
};
pub use erasure::{DeleteSession, DeleteUser};
pub use health::{Health, Live, Managers, NotReady, Part, PartState, Ready};
pub use keys::{CreatedKey, Key, Keys, NewKey};
pub use memories::{BatchStored, Deleted, ListedEpisode, Page};
pub use profile::{DeletedFact, Facts, ParkedMessage, ProfileQueue, RetriedMessages};
pub use spaces::{Space, SpaceChanges, SpaceDetails, Spaces};
pub use usage::{ModelUsage, UsageSpan};
