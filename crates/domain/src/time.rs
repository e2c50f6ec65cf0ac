use std::fmt;
use std::str::FromStr;

use jiff::civil;
use jiff::tz::TimeZone;

use crate::Violation;

/// A moment, to the microsecond, in UTC. As text: RFC 3339; in engines: integer microseconds.
///
/// Only moments from the year 1000 up to the year 3000 exist: anything else is a mistake of unit or of clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MICROS: i64 = 1_000_000;
/// 1000-01-01T00:00:00Z in seconds of the Unix epoch.
const FIRST_SECOND: i64 = -30_610_224_000;
/// 3000-01-01T00:00:00Z in seconds of the Unix epoch.
const LAST_SECOND: i64 = 32_503_680_000;
/// A number above this is milliseconds, not seconds, of the epoch: as seconds it would be in the year 33658.
const MILLIS_FROM: f64 = 1e12;

impl Timestamp {
    /// From microseconds since 1970-01-01T00:00:00Z; `None` outside the years 1000 to 2999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (FIRST_SECOND * MICROS..LAST_SECOND * MICROS).contains(&micros).then_some(Self(micros))
    }

    /// From a number of seconds, or milliseconds when above 10^12, since the epoch.
    pub fn from_epoch(number: f64) -> Result<Self, Violation> {
        let seconds = if number.abs() > MILLIS_FROM { number / 1e3 } else { number };
        let micros = (seconds * MICROS as f64).round();
        // Comparing first keeps the cast exact and refuses NaN and the infinities.
        if micros.abs() < i64::MAX as f64
            && let Some(moment) = Self::from_micros(micros as i64)
        {
            return Ok(moment);
        }
        Err(Violation::invalid_time(&number.to_string()))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// The date and time of day in UTC.
    pub fn civil(self) -> civil::DateTime {
        // Every value is between the years 1000 and 3000, which jiff can hold.
        jiff::Timestamp::from_microsecond(self.0)
            .unwrap_or_default()
            .to_zoned_datetime(TimeZone::UTC)
            .datetime()
    }

    /// The moment a date begins in UTC; `None` outside the years 1000 to 2999.
    pub fn start_of(date: civil::Date) -> Option<Self> {
        let zoned = date.to_zoned_datetime(TimeZone::UTC).ok()?;
        Self::from_micros(zoned.timestamp().as_microsecond())
    }

    /// Its day in UTC: `2026-05-08`.
    pub fn day(self) -> String {
        self.civil().date().to_string()
    }

    /// Its day and minute in UTC, as people read them: `2026-05-08 13:56`.
    pub fn day_and_minute(self) -> String {
        self.civil().strftime("%Y-%m-%d %H:%M").to_string()
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with as many digits of the second as it needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.civil())
    }
}

impl FromStr for Timestamp {
    type Err = Violation;

    /// Reads RFC 3339 / ISO 8601; a time without a zone is UTC, a date alone is its midnight.
    fn from_str(text: &str) -> Result<Self, Violation> {
        let text = text.trim();
        let moment = text
            .parse::<jiff::Timestamp>()
            .or_else(|_| {
                let local = text.parse::<civil::DateTime>()?;
                Ok::<_, jiff::Error>(local.to_zoned_datetime(TimeZone::UTC)?.timestamp())
            })
            .ok()
            .and_then(|moment| Self::from_micros(moment.as_microsecond()));
        moment.ok_or_else(|| Violation::invalid_time(text))
    }
}

/// A stretch of time: from `start` (included) to `end` (not included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment inside.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

impl TimeRange {
    /// Whether the moment is inside the range.
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.start <= moment && moment < self.end
    }
}

/// Where "now" comes from: the machine's clock, or a fixed one in tests.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        // A clock outside the years 1000 to 2999 reads as the epoch: wrong, but storable.
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()).unwrap_or(Timestamp(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_forms_clients_send() {
        let noon = Timestamp::from_micros(1_683_547_200_000_000).unwrap();
        for text in [
            "2023-05-08T12:00:00Z",
            "2023-05-08T12:00:00",
            "2023-05-08 12:00:00",
            "2023-05-08T14:00:00+02:00",
            "2023-05-08T12:00:00.000000+00:00",
            " 2023-05-08T12:00Z ",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap(), noon, "{text}");
        }
        assert_eq!("2023-05-08".parse::<Timestamp>().unwrap().to_string(), "2023-05-08T00:00:00Z");
        assert_eq!(Timestamp::from_epoch(1_683_547_200.0).unwrap(), noon);
        assert_eq!(Timestamp::from_epoch(1_683_547_200_000.0).unwrap(), noon);
    }

    #[test]
    fn invalid_times_are_refused() {
        for text in
            ["", "yesterday", "2023-13-01", "9999-01-01T00:00:00Z", "-5000-01-01", "2023-05-08T25:00:00Z"]
        {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        for number in [f64::NAN, f64::INFINITY, 1e300, -1e300, 9e18] {
            assert!(Timestamp::from_epoch(number).is_err(), "{number}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(micros in FIRST_SECOND * MICROS..LAST_SECOND * MICROS) {
            let moment = Timestamp::from_micros(micros).unwrap();
            prop_assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
