//! The use of the language model, and its budget.

use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Error, Timestamp};

/// The estimated cost of one use of the language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// When.
    pub at: Timestamp,
    /// Calls.
    pub calls: u64,
    /// Tokens, in and out.
    pub tokens: u64,
}

/// The limits of the language model's use. `None` means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Calls in a minute of the clock.
    pub calls_per_minute: Option<u64>,
    /// Calls in a day of UTC.
    pub calls_per_day: Option<u64>,
    /// Tokens in a minute of the clock.
    pub tokens_per_minute: Option<u64>,
    /// Tokens in a day of UTC.
    pub tokens_per_day: Option<u64>,
}

/// A span of time for which use is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// A minute of the clock.
    Minute,
    /// A day of UTC.
    Day,
}

impl Span {
    /// Its length in microseconds.
    pub fn micros(self) -> i64 {
        match self {
            Self::Minute => 60_000_000,
            Self::Day => 86_400_000_000,
        }
    }

    /// How long a count is kept, in microseconds: a minute for an hour, a day for a little more than a year.
    pub fn kept_for(self) -> i64 {
        match self {
            Self::Minute => 3_600_000_000,
            Self::Day => 400 * 86_400_000_000,
        }
    }

    /// When the span that holds this moment began, in microseconds of the epoch.
    pub fn began(self, at: Timestamp) -> i64 {
        at.as_micros().div_euclid(self.micros()) * self.micros()
    }

    /// How long the span that holds this moment still lasts.
    pub fn left(self, at: Timestamp) -> Duration {
        let left = self.began(at) + self.micros() - at.as_micros();
        Duration::from_micros(left.unsigned_abs())
    }
}

/// The use in a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Calls.
    pub calls: u64,
    /// Tokens, in and out.
    pub tokens: u64,
}

impl Budget {
    /// The span whose limit this charge would exceed, if any. The charge counts in full before the call, so the limits hold
    /// for estimates, too.
    pub fn exhausted(&self, minute: Usage, day: Usage, more: Charge) -> Option<Span> {
        let over = |used: u64, more: u64, limit: Option<u64>| {
            limit.is_some_and(|limit| used.saturating_add(more) > limit)
        };
        if over(day.calls, more.calls, self.calls_per_day)
            || over(day.tokens, more.tokens, self.tokens_per_day)
        {
            return Some(Span::Day);
        }
        let minute = over(minute.calls, more.calls, self.calls_per_minute)
            || over(minute.tokens, more.tokens, self.tokens_per_minute);
        minute.then_some(Span::Minute)
    }
}

/// Counts the use of the language model.
///
/// As in every port, an operation that returns `Ok` is durable, and one that returns an error has changed nothing.
#[async_trait]
pub trait UsageLedger: Send + Sync {
    /// Counts a charge. If it would exceed a limit, counts nothing and returns the span of that limit. One transaction, so two
    /// servers cannot spend the same remainder. Deletes old counts.
    async fn spend(&self, spending: Charge, budget: &Budget) -> Result<Option<Span>, Error>;

    /// Corrects the counts of that moment, when the cost is known. Counts do not fall below zero.
    async fn correct(&self, at: Timestamp, calls: i64, tokens: i64) -> Result<(), Error>;

    /// The use in the minute and in the day of this moment.
    async fn usage(&self, at: Timestamp) -> Result<(Usage, Usage), Error>;
}
