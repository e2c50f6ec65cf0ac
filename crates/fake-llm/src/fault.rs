//! The faults of an endpoint.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::pause::{BadPause, Pause};

/// One way in which an endpoint fails, or differs from others. On the command line `name` or `name=value`, in JSON
/// `{"fault": "name", …}` with the fields below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// `slow=2s`: delays every answer.
    Slow {
        /// How long.
        time: Pause,
    },
    /// `hang`: accepts the call and never answers. Nothing is charged.
    Hang,
    /// `status=429`, `status=429,2`: answers this status, with this `Retry-After` in seconds.
    Status {
        /// The status, 400 to 599.
        status: u16,
        /// The value of `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// `overflow`, `overflow=100`: answers 400 `context_length_exceeded` beyond this many tokens, or always.
    Overflow {
        /// The most tokens it accepts.
        #[serde(default)]
        tokens: u64,
    },
    /// `refuses-format`: answers 400 to a call with `response_format`.
    RefusesFormat,
    /// `refuses-usage`: answers 400 to a call with `stream_options`.
    RefusesUsage,
    /// `ignores-stream`: answers a streaming call with JSON.
    IgnoresStream,
    /// `cut`, `cut=3`: closes the connection after this many events of a stream, or after half of them; in the middle
    /// of an answer that is not streamed.
    Cut {
        /// After how many events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<usize>,
    },
    /// `error-event`: half a stream, then an event with an error.
    ErrorEvent,
    /// `no-done`: a stream without the `[DONE]` at its end.
    NoDone,
    /// `slow-words=50ms`: pauses before each event of a stream.
    SlowWords {
        /// How long.
        time: Pause,
    },
    /// `comments`: comments between the events of a stream, and lines that end in CR LF.
    Comments,
    /// `torn`: sends its answer in pieces of three bytes.
    Torn,
    /// `reasoning`: sends `reasoning_content` and null deltas, and omits ids.
    Reasoning,
    /// `invalid-utf8`: an answer with a byte that is not UTF-8.
    InvalidUtf8,
    /// `bad-json`: replies with truncated JSON.
    BadJson,
    /// `wrong-schema`: replies with JSON of another shape.
    WrongSchema,
    /// `new-words=20`: replies with this many words that say nothing, in another order each time.
    NewWords {
        /// How many words.
        count: usize,
    },
    /// `empty`: replies with an empty text.
    Empty,
    /// `null-content`: replies with null.
    NullContent,
    /// `tools`: calls a tool instead of answering.
    Tools,
    /// `huge`: never ends its answer.
    Huge,
}

/// A text that does not name a fault.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadFault {
    /// No fault has this name.
    #[error("there is no fault '{name}'; there are {}", NAMES.join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// Its value is missing, superfluous or invalid.
    #[error("fault '{name}' {why}")]
    Value {
        /// The name.
        name: String,
        /// What is wrong with the value.
        why: String,
    },
}

const NAMES: [&str; 22] = [
    "slow=2s",
    "hang",
    "status=429[,2]",
    "overflow[=100]",
    "refuses-format",
    "refuses-usage",
    "ignores-stream",
    "cut[=3]",
    "error-event",
    "no-done",
    "slow-words=50ms",
    "comments",
    "torn",
    "reasoning",
    "invalid-utf8",
    "bad-json",
    "wrong-schema",
    "new-words=20",
    "empty",
    "null-content",
    "tools",
    "huge",
];

impl FromStr for Fault {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, BadFault> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let bad = |why: String| BadFault::Value { name: name.to_owned(), why };
        let needed = || value.ok_or_else(|| bad("needs a value".into()));
        let time = || needed()?.parse().map_err(|error: BadPause| bad(error.to_string()));
        let number =
            |text: &str| text.parse::<u64>().map_err(|_| bad(format!("needs a number, not '{text}'")));
        let fault = match name {
            "slow" => Self::Slow { time: time()? },
            "slow-words" => Self::SlowWords { time: time()? },
            "status" => {
                let (status, retry_after) = match needed()?.split_once(',') {
                    Some((status, after)) => (number(status)?, Some(number(after)?)),
                    None => (number(needed()?)?, None),
                };
                let status = u16::try_from(status).unwrap_or(u16::MAX);
                Self::Status { status, retry_after }
            }
            "overflow" => Self::Overflow { tokens: value.map(number).transpose()?.unwrap_or(0) },
            "new-words" => Self::NewWords { count: number(needed()?)? as usize },
            "cut" => Self::Cut { after: value.map(number).transpose()?.map(|after| after as usize) },
            _ => {
                let fault = Self::plain(name).ok_or_else(|| BadFault::Unknown { name: name.to_owned() })?;
                value.map_or(Ok(()), |value| Err(bad(format!("takes no value, and got '{value}'"))))?;
                fault
            }
        };
        fault.checked()
    }
}

impl Fault {
    /// The fault of this name, if it takes no value.
    fn plain(name: &str) -> Option<Self> {
        Some(match name {
            "hang" => Self::Hang,
            "refuses-format" => Self::RefusesFormat,
            "refuses-usage" => Self::RefusesUsage,
            "ignores-stream" => Self::IgnoresStream,
            "error-event" => Self::ErrorEvent,
            "no-done" => Self::NoDone,
            "comments" => Self::Comments,
            "torn" => Self::Torn,
            "reasoning" => Self::Reasoning,
            "invalid-utf8" => Self::InvalidUtf8,
            "bad-json" => Self::BadJson,
            "wrong-schema" => Self::WrongSchema,
            "empty" => Self::Empty,
            "null-content" => Self::NullContent,
            "tools" => Self::Tools,
            "huge" => Self::Huge,
            _ => return None,
        })
    }

    /// Checks the fault: a success status would not be one.
    pub(crate) fn checked(self) -> Result<Self, BadFault> {
        match self {
            Self::Status { status, .. } if !(400..600).contains(&status) => {
                Err(BadFault::Value { name: "status".into(), why: "needs a status from 400 to 599".into() })
            }
            fault => Ok(fault),
        }
    }

    /// The delay before the head of the answer.
    pub(crate) fn wait(&self) -> Duration {
        if let Self::Slow { time } = self { time.0 } else { Duration::ZERO }
    }

    /// The delay before each event of a stream.
    pub(crate) fn word_wait(&self) -> Duration {
        if let Self::SlowWords { time } = self { time.0 } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_with_and_without_its_value() {
        for name in NAMES {
            let plain = name.split('[').next().unwrap();
            let full = name.replace(['[', ']'], "");
            for text in [plain, &full] {
                let fault: Fault = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
                let json = serde_json::to_value(&fault).unwrap();
                assert_eq!(json["fault"], plain.split('=').next().unwrap(), "{json}");
                assert_eq!(serde_json::from_value::<Fault>(json).unwrap(), fault);
            }
        }
    }

    #[test]
    fn invalid_faults_are_refused_with_a_reason() {
        for text in ["", "slow", "slow=soon", "status", "status=200", "status=429,soon", "hang=2s", "flood"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
        assert_eq!("status=429,2".parse(), Ok(Fault::Status { status: 429, retry_after: Some(2) }));
        assert_eq!("overflow".parse(), Ok(Fault::Overflow { tokens: 0 }));
    }
}
