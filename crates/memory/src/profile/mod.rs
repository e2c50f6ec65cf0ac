//! The profile: facts about people, learned from what they write.
//!
//! Messages wait in the engine's learning queue until enough of one person's have come together. The [`Learner`] claims
//! them, has the language model turn them into commands (`extraction`, `prompt`, `commands`) and stores the resulting
//! facts, each with the messages that it is based on. Where a tag becomes crowded, facts are merged (`merging`). A fact that
//! no longer holds is retired, not deleted, so that the past can be read as well.

mod commands;
mod extraction;
mod learner;
mod merging;
mod prompt;

pub use learner::{Learner, LearnerOptions};

/// The category of facts that every memory has.
pub const CATEGORY: &str = "profile";
