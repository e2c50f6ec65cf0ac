//! The time range that a query mentions: "last May", "in June 2023", "two weeks ago".
//!
//! A small English grammar over words, read from left to right; the first phrase that it understands counts. Relative
//! phrases count from the time of the query, weeks begin on Monday, and seasons are those of the northern half of the
//! earth. A phrase without a year means the latest time that fits it and has begun.

use std::borrow::Cow;

use jiff::civil::{Date, date};
use jiff::{Span, ToSpan};
use memcloud_domain::{TimeRange, Timestamp};

use crate::search::query_text::QueryText;
use crate::text::calendar::{month, season, weekday};
use crate::text::tokens::Token;

/// The time range that a query mentions, if any, as seen from `now`.
pub(crate) fn time_range(query: &QueryText<'_>, now: Timestamp) -> Option<TimeRange> {
    let words = words(query);
    let today = now.civil().date();
    // Every phrase begins with a number or an English word.
    let begins = |at: &usize| words[*at].bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let (range, bound) = (0..words.len()).filter(begins).find_map(|at| {
        let range = Phrase { words: &words, at, today }.read()?;
        Some((range, at.checked_sub(1).map(|before| words[before].as_ref())))
    })?;
    let range = match bound {
        Some("since") => Days { start: range.start, end: today.tomorrow().ok()? },
        Some("after") => Days { start: range.end, end: today.tomorrow().ok()? },
        Some("before" | "until") => Days { start: date(1000, 1, 1), end: range.start },
        _ => range,
    };
    let range = TimeRange { start: Timestamp::start_of(range.start)?, end: Timestamp::start_of(range.end)? };
    (range.start < range.end).then_some(range)
}

/// The words of a query, in lower case. Tokens that hyphens join are one word: a date such as `2023-05-08`, but also
/// "mid-May", which is not a month. Words that only connect are left out, and so is the ending of an ordinal.
fn words<'a>(query: &'a QueryText<'_>) -> Vec<Cow<'a, str>> {
    let is_joined = |a: &Token<'_>, b: &Token<'_>| query.text[a.end()..b.start].chars().all(|c| c == '-');
    let words = query.tokens.chunk_by(is_joined).map(|joined| match joined {
        [first, .., last] => query.text[first.start..last.end()].to_lowercase().into(),
        tokens => Cow::Borrowed(tokens.first().map_or("", |token| &*token.plain)),
    });
    words.filter(|word| !matches!(word.as_ref(), "the" | "of" | "st" | "nd" | "rd" | "th")).collect()
}

/// Days from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Days {
    start: Date,
    end: Date,
}

impl Days {
    fn new(start: Date, length: Span) -> Option<Self> {
        Some(Self { start, end: start.checked_add(length).ok()? })
    }

    fn day(day: Date) -> Option<Self> {
        Self::new(day, 1.day())
    }

    fn month(year: i16, month: i8) -> Option<Self> {
        Self::new(Date::new(year, month, 1).ok()?, 1.month())
    }

    fn year(year: i16) -> Option<Self> {
        Self::new(Date::new(year, 1, 1).ok()?, 1.year())
    }

    fn shifted(self, by: Span) -> Option<Self> {
        Some(Self { start: self.start.checked_add(by).ok()?, end: self.end.checked_add(by).ok()? })
    }
}

/// A unit of the calendar.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Day,
    Week,
    Weekend,
    Month,
    Year,
}

impl Unit {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "day" | "days" => Self::Day,
            "week" | "weeks" => Self::Week,
            "weekend" | "weekends" => Self::Weekend,
            "month" | "months" => Self::Month,
            "year" | "years" => Self::Year,
            _ => return None,
        })
    }

    fn span(self, count: i32) -> Span {
        match self {
            Self::Day => Span::new().days(count),
            Self::Week | Self::Weekend => Span::new().weeks(count),
            Self::Month => Span::new().months(count),
            Self::Year => Span::new().years(count),
        }
    }

    /// The unit that contains this day.
    fn around(self, day: Date) -> Option<Days> {
        let monday = day.checked_sub(i32::from(day.weekday().to_monday_zero_offset()).days()).ok()?;
        match self {
            Self::Day => Days::day(day),
            Self::Week => Days::new(monday, 1.week()),
            Self::Weekend => Days::new(monday.checked_add(5.days()).ok()?, 2.days()),
            Self::Month => Days::month(day.year(), day.month()),
            Self::Year => Days::year(day.year()),
        }
    }
}

/// A phrase that begins at one of the words.
struct Phrase<'a> {
    words: &'a [Cow<'a, str>],
    at: usize,
    today: Date,
}

impl Phrase<'_> {
    fn word(&self, offset: usize) -> &str {
        self.words.get(self.at + offset).map_or("", AsRef::as_ref)
    }

    fn number(&self, offset: usize) -> Option<i32> {
        number(self.word(offset))
    }

    fn read(&self) -> Option<Days> {
        self.iso_date()
            .or_else(|| self.day_and_month())
            .or_else(|| self.month_or_season())
            .or_else(|| self.ago())
            .or_else(|| self.relative())
            .or_else(|| self.named_day())
            .or_else(|| self.year())
    }

    /// `2023-05-08`, `2023-05`.
    fn iso_date(&self) -> Option<Days> {
        let mut parts = self.word(0).split('-');
        let (year, month) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        match parts.next() {
            Some(day) => Days::day(Date::new(year, month, day.parse().ok()?).ok()?),
            None => Days::month(year, month),
        }
    }

    /// `8 May 2023`, `May 8, 2023`, `May 8`.
    fn day_and_month(&self) -> Option<Days> {
        let (day, month) = match (month(self.word(0)), month(self.word(1))) {
            (Some(month), _) => (self.word(1), month),
            (None, Some(month)) => (self.word(0), month),
            (None, None) => return None,
        };
        // In digits only: "a May morning" is not the first of May.
        let day: i8 = day.parse().ok()?;
        if let Some(year) = year(self.word(2)) {
            return Days::day(Date::new(year, month, day).ok()?);
        }
        self.latest(|year| Days::day(Date::new(year, month, day).ok()?))
    }

    /// `May 2023`, `last May`, `in May`, `summer 2022`, `last summer`.
    fn month_or_season(&self) -> Option<Days> {
        let which = Which::of(self.word(0));
        let name = usize::from(which.is_some() || matches!(self.word(0), "in" | "during"));
        let named = self.word(name);
        let in_year = |year: i16| match (month(named), season(named)) {
            (Some(month), _) => Days::month(year, month),
            (None, Some(first)) => Days::new(Date::new(year, first, 1).ok()?, 3.months()),
            (None, None) => None,
        };
        if let Some(year) = year(self.word(name + 1)) {
            return in_year(year);
        }
        // Without "in", "last" or a year, "may" and "spring" are mostly other words.
        if name == 0 {
            return None;
        }
        match which {
            None => self.latest(in_year),
            Some(Which::Last) => {
                let newest = self.latest(in_year)?;
                if newest.end > self.today { newest.shifted(Span::new().years(-1)) } else { Some(newest) }
            }
            Some(Which::This) => in_year(self.today.year()),
            Some(Which::Next) => self.latest(in_year)?.shifted(1.year()),
        }
    }

    /// `two weeks ago`, `a month ago`, `3 days ago`.
    fn ago(&self) -> Option<Days> {
        let few = usize::from(self.word(0) == "a" && number(self.word(1)).is_some());
        let count = self.number(few)?;
        let unit = Unit::of(self.word(few + 1))?;
        let then = self.today.checked_add(unit.span(-count)).ok()?;
        match self.word(few + 2) {
            // "Two weeks ago" seldom means that very day.
            "ago" if unit == Unit::Week => Days::new(then.checked_sub(3.days()).ok()?, 1.week()),
            "ago" => unit.around(then),
            _ => None,
        }
    }

    /// `last week`, `this month`, `past three months`, `last 10 days`.
    fn relative(&self) -> Option<Days> {
        let which = Which::of(self.word(0))?;
        if let Some(unit) = Unit::of(self.word(1)) {
            if self.word(0) == "past" {
                return self.up_to_now(unit, 1);
            }
            return unit.around(self.today)?.shifted(unit.span(which.steps()));
        }
        match (which, self.number(1), Unit::of(self.word(2))) {
            (Which::Last, Some(count), Some(unit)) => self.up_to_now(unit, count),
            _ => None,
        }
    }

    /// `today`, `yesterday`, `last night`, `on Monday`, `last Friday`.
    fn named_day(&self) -> Option<Days> {
        match (self.word(0), self.word(1)) {
            ("today" | "tonight", _) | ("this", "morning" | "afternoon" | "evening") => {
                return Days::day(self.today);
            }
            ("yesterday", _) | ("last", "night" | "evening") => {
                return Days::day(self.today.yesterday().ok()?);
            }
            ("day", "before") if self.word(2) == "yesterday" => {
                return Days::day(self.today.checked_sub(2.days()).ok()?);
            }
            ("tomorrow", _) => return Days::day(self.today.tomorrow().ok()?),
            _ => {}
        }
        let which = Which::of(self.word(0));
        if which.is_none() && self.word(0) != "on" {
            return None;
        }
        let weekday = weekday(self.word(1))?;
        match which {
            Some(Which::Next) => Days::day(self.today.nth_weekday(1, weekday).ok()?),
            _ if self.today.weekday() == weekday && which != Some(Which::Last) => Days::day(self.today),
            _ => Days::day(self.today.nth_weekday(-1, weekday).ok()?),
        }
    }

    /// `2022`.
    fn year(&self) -> Option<Days> {
        Days::year(year(self.word(0))?)
    }

    fn up_to_now(&self, unit: Unit, count: i32) -> Option<Days> {
        Some(Days {
            start: self.today.checked_add(unit.span(-count)).ok()?,
            end: self.today.tomorrow().ok()?,
        })
    }

    /// The latest of a time of every year that has begun.
    fn latest(&self, in_year: impl Fn(i16) -> Option<Days>) -> Option<Days> {
        let year = self.today.year();
        // In eight years there is always a 29 February.
        (0..=8).filter_map(|back| in_year(year - back)).find(|days| days.start <= self.today)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Which {
    Last,
    This,
    Next,
}

impl Which {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "last" | "past" | "previous" => Self::Last,
            "this" => Self::This,
            "next" => Self::Next,
            _ => return None,
        })
    }

    fn steps(self) -> i32 {
        match self {
            Self::Last => -1,
            Self::This => 0,
            Self::Next => 1,
        }
    }
}

/// A count in digits or words, up to 999.
fn number(word: &str) -> Option<i32> {
    const WORDS: [&str; 13] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ];
    match word {
        "a" | "an" => Some(1),
        "couple" => Some(2),
        "few" => Some(3),
        _ if word.len() <= 3 && word.chars().all(|c| c.is_ascii_digit()) => word.parse().ok(),
        _ => WORDS.iter().position(|known| *known == word).and_then(|count| i32::try_from(count).ok()),
    }
}

/// A year from 1900 to 2199 in four digits.
fn year(word: &str) -> Option<i16> {
    word.parse().ok().filter(|year| word.len() == 4 && (1900..2200).contains(year))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The range, as seen from Wednesday, 14 June 2023.
    fn range_of(text: &str) -> Option<String> {
        let now = "2023-06-14T15:30:00Z".parse().unwrap();
        time_range(&QueryText::read(text), now)
            .map(|r| format!("{:.10}..{:.10}", r.start.to_string(), r.end.to_string()))
    }

    #[test]
    fn common_phrases_have_a_range() {
        for (text, range) in [
            ("What did Ann say on 8 May, 2023?", "2023-05-08..2023-05-09"),
            ("the 8th of May 2022", "2022-05-08..2022-05-09"),
            ("on May 8th, 2022", "2022-05-08..2022-05-09"),
            ("on December 24", "2022-12-24..2022-12-25"),
            ("on 2023-05-08", "2023-05-08..2023-05-09"),
            ("What happened in June 2023?", "2023-06-01..2023-07-01"),
            ("in March", "2023-03-01..2023-04-01"),
            ("in August", "2022-08-01..2022-09-01"),
            ("last May", "2023-05-01..2023-06-01"),
            ("last June", "2022-06-01..2022-07-01"),
            ("in a May 2022 email", "2022-05-01..2022-06-01"),
            ("last summer", "2022-06-01..2022-09-01"),
            ("in the summer of 2021", "2021-06-01..2021-09-01"),
            ("last winter", "2022-12-01..2023-03-01"),
            ("in 2022", "2022-01-01..2023-01-01"),
            ("two weeks ago", "2023-05-28..2023-06-04"),
            ("a month ago", "2023-05-01..2023-06-01"),
            ("3 days ago", "2023-06-11..2023-06-12"),
            ("a couple of days ago", "2023-06-12..2023-06-13"),
            ("yesterday", "2023-06-13..2023-06-14"),
            ("the day before yesterday", "2023-06-12..2023-06-13"),
            ("last night", "2023-06-13..2023-06-14"),
            ("last week", "2023-06-05..2023-06-12"),
            ("last weekend", "2023-06-10..2023-06-12"),
            ("this month", "2023-06-01..2023-07-01"),
            ("last year", "2022-01-01..2023-01-01"),
            ("in the past three months", "2023-03-14..2023-06-15"),
            ("the past week", "2023-06-07..2023-06-15"),
            ("last Friday", "2023-06-09..2023-06-10"),
            ("on Monday", "2023-06-12..2023-06-13"),
            ("since May 2023", "2023-05-01..2023-06-15"),
            ("before 2022", "1000-01-01..2022-01-01"),
            ("after 8 May 2023", "2023-05-09..2023-06-15"),
        ] {
            assert_eq!(range_of(text).as_deref(), Some(range), "{text}");
        }
    }

    #[test]
    fn texts_without_a_time_have_no_range() {
        for text in [
            "",
            "What may Ann like?",
            "the march of progress",
            "a spring in the garden",
            "Who is Ann's second cousin?",
            "room 2512 has 300 chairs",
            "When did she fall?",
        ] {
            assert_eq!(range_of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_no_range_or_a_valid_one(
            text in "((last|in|a|two|29|february|2024|2023-02-31|weeks|ago|since|on|may|[0-9]{1,5}|\\PC{0,6}) ?){0,8}",
            micros in -30_000_000_000_000_000i64..30_000_000_000_000_000,
        ) {
            let now = Timestamp::from_micros(micros).unwrap();
            if let Some(range) = time_range(&QueryText::read(&text), now) {
                prop_assert!(range.start < range.end);
            }
        }
    }
}
