//! A duration as people write it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A duration written as `50ms`, `2s` or `1.5s`, also in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pause(pub Duration);

/// A text that is not a duration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("'{0}' is not a valid length of time: write it as 50ms, 2s or 1.5s")]
pub struct BadPause(String);

impl FromStr for Pause {
    type Err = BadPause;

    fn from_str(text: &str) -> Result<Self, BadPause> {
        let bad = || BadPause(text.to_owned());
        let (number, seconds) = match text.strip_suffix("ms") {
            Some(number) => (number, 0.001),
            None => (text.strip_suffix('s').ok_or_else(bad)?, 1.0),
        };
        let number: f64 = number.trim().parse().map_err(|_| bad())?;
        Duration::try_from_secs_f64(number * seconds).map(Self).map_err(|_| bad())
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1_000) {
            write!(to, "{}s", millis / 1_000)
        } else {
            write!(to, "{millis}ms")
        }
    }
}

impl From<Pause> for String {
    fn from(pause: Pause) -> Self {
        pause.to_string()
    }
}

impl TryFrom<String> for Pause {
    type Error = BadPause;

    fn try_from(text: String) -> Result<Self, BadPause> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_analysis_decodes_to_itself() {
        for (text, millis) in [("50ms", 50), ("2s", 2_000), ("1500ms", 1_500), ("0s", 0)] {
            let pause: Pause = text.parse().unwrap();
            assert_eq!((pause.0.as_millis(), pause.to_string().as_str()), (millis, text));
        }
        assert_eq!("1.5s".parse::<Pause>().unwrap().to_string(), "1500ms");
        for text in ["", "2", "s", "-1s", "two seconds", "infs"] {
            assert!(text.parse::<Pause>().is_err(), "{text}");
        }
    }
}
