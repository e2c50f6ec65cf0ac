use std::fmt;

use memcloud_api::{Detail, Problem};
use serde_json::Value;

/// Which kind of server a client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// A memory instance.
    Instance,
    /// A console, which manages instances.
    Console,
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instance => "instance",
            Self::Console => "console",
        })
    }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an address of a server.
    #[error("'{given}' is not the address of {} {server}", article(*server))]
    InvalidUrl {
        /// What it was to be the address of.
        server: ServerKind,
        /// What was given.
        given: String,
    },
    /// HTTP cannot be set up.
    #[error("cannot set up HTTP")]
    Setup(#[source] reqwest::Error),
    /// The server cannot be reached, or did not answer in time.
    #[error("the server at {url} could not be reached: {}", reason(source))]
    Unreachable {
        /// What it is.
        server: ServerKind,
        /// Its address.
        url: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// The answer is not one of such a server.
    #[error("{url} did not answer as {} {server} does", article(*server))]
    UnknownAnswer {
        /// What was to answer.
        server: ServerKind,
        /// Its address.
        url: String,
        /// What is wrong with the answer.
        source: serde_json::Error,
    },
    /// The server refused the request.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// A streamed answer ended before its end.
    #[error("the answer broke off: {0}")]
    BrokenOff(String),
}

impl Error {
    /// Whether the server could not be reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// What the server said, if it refused the request.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

fn article(server: ServerKind) -> &'static str {
    match server {
        ServerKind::Instance => "an",
        ServerKind::Console => "a",
    }
}

/// The innermost cause: the others repeat each other.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".into();
    }
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        reason = inner.to_string();
        cause = inner.source();
    }
    reason
}

/// What the server said when it refused a request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// What refused it.
    pub server: ServerKind,
    /// The HTTP status; 0 when a streamed answer failed.
    pub status: u16,
    /// The stable code, if the server gave one.
    pub code: String,
    /// What is wrong; several problems are separated by semicolons.
    pub detail: String,
    /// Each problem with its place, of a request that does not validate.
    pub problems: Vec<Problem>,
    /// What to do about it, if the server said so.
    pub hint: Option<String>,
    /// Whether a failed chat has stored the user's message.
    pub question_stored: bool,
    /// The id of the request, by which the server's log names it.
    pub request_id: Option<String>,
}

impl Refusal {
    pub(crate) fn read(server: ServerKind, status: u16, request_id: Option<String>, body: &[u8]) -> Self {
        match serde_json::from_slice::<memcloud_api::Error>(body) {
            Ok(error) => Self::of(server, status, request_id, error),
            // A proxy or another program answered.
            Err(_) => Self {
                server,
                status,
                code: String::new(),
                detail: other_detail(body).unwrap_or_else(|| format!("HTTP status {status}")),
                problems: vec![],
                hint: None,
                question_stored: false,
                request_id,
            },
        }
    }

    pub(crate) fn of(
        server: ServerKind,
        status: u16,
        request_id: Option<String>,
        error: memcloud_api::Error,
    ) -> Self {
        let (detail, problems) = match error.detail {
            Detail::Text(text) => (text, vec![]),
            Detail::Problems(problems) => {
                (problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), problems)
            }
        };
        Self {
            server,
            status,
            code: error.code,
            detail,
            problems,
            hint: Some(error.hint),
            question_stored: error.stored.is_some_and(|stored| stored.user_message.is_some()),
            request_id,
        }
    }
}

fn other_detail(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["detail"].as_str().map(str::to_owned)
}
