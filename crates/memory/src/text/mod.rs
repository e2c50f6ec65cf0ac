//! Text analysis, the same for stored episodes and for queries.
//!
//! A text is split into `tokens` once; terms, cues, names and time phrases all read those tokens.

pub(crate) mod analysis;
pub(crate) mod blank;
pub(crate) mod calendar;
pub(crate) mod cues;
pub(crate) mod hash;
pub(crate) mod letters;
pub(crate) mod properties;
pub(crate) mod quotation;
pub(crate) mod stop_words;
pub(crate) mod terms;
pub(crate) mod token_count;
pub(crate) mod tokens;
