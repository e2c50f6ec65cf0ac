//! Text analysis, on the side of the memory and of the query alike: words and terms, cues, names of the calendar, and
//! counts of tokens.

pub(crate) mod analysis;
pub(crate) mod calendar;
pub(crate) mod cues;
pub(crate) mod hash;
pub(crate) mod stop_words;
pub(crate) mod token_count;
pub(crate) mod words;
