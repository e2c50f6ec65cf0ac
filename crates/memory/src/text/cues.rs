//! Cues: what kind of text it is, judged by a few words.

use crate::text::calendar::{MONTHS, season, weekday};
use crate::text::tokens::Token;

/// What kind of text an episode is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cues {
    /// It ends with a question mark.
    pub(crate) question: bool,
    /// It says when something happened, with words such as "yesterday" or "last week".
    pub(crate) time_words: bool,
}

/// Whether a text says when something happened: "yesterday", "last week", "two months ago", "in 2022".
pub(crate) fn has_time_words(tokens: &[Token<'_>]) -> bool {
    tokens.iter().enumerate().any(|(at, token)| {
        let next = |offset: usize| tokens.get(at + offset).map_or("", |token| &*token.plain);
        match &*token.plain {
            "yesterday" | "today" | "tonight" | "tomorrow" | "ago" => true,
            "last" | "next" => next(1) == "night" || is_period(next(1)),
            "this" => {
                let noun = if next(1) == "past" { next(2) } else { next(1) };
                matches!(noun, "morning" | "afternoon" | "evening") || is_period(noun)
            }
            "past" | "few" => is_plural_period(next(1)),
            "couple" => next(1) == "of" && is_plural_period(next(2)),
            plain => weekday(plain).is_some() || is_plain_month(plain) || is_year(plain),
        }
    })
}

fn is_period(word: &str) -> bool {
    matches!(word, "week" | "weekend" | "month" | "year") || season(word).is_some() || weekday(word).is_some()
}

fn is_plural_period(word: &str) -> bool {
    matches!(word.strip_suffix('s').unwrap_or(word), "day" | "week" | "weekend" | "month" | "year")
}

/// A month, except "march" and "may", which are mostly other words.
fn is_plain_month(word: &str) -> bool {
    MONTHS.contains(&word) && !matches!(word, "march" | "may")
}

fn is_year(word: &str) -> bool {
    word.len() == 4
        && (word.starts_with("19") || word.starts_with("20"))
        && word.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a question asks when something happened, or for how long.
pub(crate) fn asks_when(tokens: &[Token<'_>]) -> bool {
    tokens.iter().enumerate().any(|(at, token)| {
        let next = tokens.get(at + 1).map_or("", |token| &*token.plain);
        match &*token.plain {
            "when" => true,
            "what" => matches!(next, "date" | "day" | "month" | "year" | "time"),
            "which" => matches!(next, "date" | "day" | "month" | "year"),
            "how" => next == "long",
            _ => false,
        }
    })
}
