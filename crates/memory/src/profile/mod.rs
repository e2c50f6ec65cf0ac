//! The profile: what is learned of people from what they say.
//!
//! Messages wait in a durable queue (`ports::ProfileStore`) until enough of one person have come together. The
//! [`Learner`] has a language model make commands of them (`prompt`, `commands`) and keeps the facts that come of it, each
//! with the messages that it rests on; where a tag becomes crowded it has facts merged (`merging`). Searches and chats
//! find facts in `search`. A fact that no longer holds is retired, never destroyed, so the past can be read as well.

mod commands;
mod learner;
mod merging;
mod prompt;
mod queue;
mod search;

pub use learner::{Learner, LearnerOptions};
pub use search::FactHit;

/// The category that every memory has.
pub const CATEGORY: &str = "profile";
