//! The profile: what is learned of people from what they say.

/// The category that every memory has.
pub const CATEGORY: &str = "profile";
