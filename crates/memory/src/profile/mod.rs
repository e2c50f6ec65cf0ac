//! Facts: learned from what people write, or made by hand.
//!
//! Messages wait in the engine's learning queue until enough of one person's have come together. The [`Learner`] claims
//! them, has the language model turn them into commands (`extraction`, `prompt`, `commands`) and stores the resulting
//! facts, each with the messages that it is based on. What to learn, and with which prompt and tags, is in the store
//! (`categories`). Where a tag becomes crowded, facts are merged (`merging`). A fact that no longer holds is retired, not
//! deleted, so that the past can be read as well.

mod by_hand;
pub(crate) mod categories;
mod check;
mod commands;
mod extraction;
mod learner;
mod merging;
mod prompt;

pub use learner::{Learner, LearnerOptions};

/// The name of the built-in category: facts about people.
pub const CATEGORY: &str = "profile";
