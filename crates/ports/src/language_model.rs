//! A language model behind an endpoint of OpenAI's shape.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use serde_json::{Map, Value};
use thiserror::Error;

/// A request of OpenAI's chat completions.
#[derive(Clone, Debug)]
pub struct Call {
    /// The body, as it is sent. Its `model` and `stream` are filled in by whoever calls.
    pub body: Map<String, Value>,
    /// A name for the request, the same whenever it is sent again: an endpoint that heeds it answers and charges once.
    pub idempotency_key: Option<String>,
}

/// Tokens that a call took, as the endpoint counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tokens {
    /// What the model read.
    pub prompt: u64,
    /// What it wrote.
    pub completion: u64,
}

/// The answer to a call, once its head is there.
pub enum Answer {
    /// All of it.
    Whole(Completion),
    /// As it comes.
    Stream(Deltas),
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The body as it came.
    pub raw: Bytes,
    /// What the model said; empty when it said nothing or only called tools.
    pub text: String,
    /// Whether the model called tools.
    pub calls_tools: bool,
    /// What it took, when the endpoint says so.
    pub tokens: Option<Tokens>,
}

/// A streamed answer. It ends after the model said that it is done; a connection that breaks before is an error.
pub type Deltas = Pin<Box<dyn Stream<Item = Result<Delta, ModelError>> + Send>>;

/// One event of a streamed answer.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    /// The event as it came, with the empty line at its end.
    pub raw: Bytes,
    /// What the model said in it.
    pub text: String,
    /// Whether it is a part of a call of tools.
    pub calls_tools: bool,
    /// What the call took, when this event says so.
    pub tokens: Option<Tokens>,
    /// Whether it says that nothing follows: `[DONE]`.
    pub is_end: bool,
}

/// Why a language model did not answer.
#[derive(Debug, Error)]
pub enum ModelError {
    /// There is none.
    #[error("this instance has no language model")]
    Missing,
    /// The endpoint cannot be reached.
    #[error("the endpoint of the language model cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("the language model did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The endpoint answered with an error.
    #[error("the endpoint of the language model answered {}: {}", .0.status, .0.told())]
    Refused(Refusal),
    /// The answer broke off.
    #[error("the answer of the language model broke off")]
    Cut(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is not what was asked for.
    #[error("the language model answered {what}")]
    Unusable {
        /// What it answered instead.
        what: String,
    },
    /// The answer is there and says nothing.
    #[error("the language model answered nothing")]
    Nothing,
    /// The answer is longer than anything that is read.
    #[error("the language model answered more than {limit} bytes")]
    TooLong {
        /// How much is read.
        limit: usize,
    },
    /// A limit of this instance is reached.
    #[error("the instance has used what it may use of the language model in this {}", if *.daily { "day" } else { "minute" })]
    Exhausted {
        /// Whether it is a limit of the day, or else of the minute.
        daily: bool,
        /// When there is room again.
        after: Duration,
    },
    /// It failed too often of late, and is left alone for a while.
    #[error("the language model failed several times in a row and is left alone for {} s", .after.as_secs().max(1))]
    Resting {
        /// When it is tried again.
        after: Duration,
    },
    /// The server stops, and waits for no more.
    #[error("the server is stopping")]
    Stopping,
    /// The memory itself failed.
    #[error(transparent)]
    Memory(#[from] memcloud_domain::Error),
}

/// An endpoint's answer that is an error.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// What kind of body it is.
    pub content_type: Option<String>,
    /// The body as it came, cut at a megabyte.
    pub body: Bytes,
    /// How long it asks to wait, if it does.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// What the endpoint says, in a line: the `message` of its error, or the beginning of its body.
    pub fn told(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        let json: Value = serde_json::from_str(&body).unwrap_or_default();
        let message = [&json["error"]["message"], &json["message"], &json["error"], &json["detail"]];
        let text = message.into_iter().find_map(Value::as_str).unwrap_or(&body);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(200) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None if line.is_empty() => "nothing more".into(),
            None => line,
        }
    }

    /// Whether the endpoint says that the conversation is longer than the model can read: in the words of `OpenAI`, vLLM,
    /// llama.cpp and others.
    pub fn is_overflow(&self) -> bool {
        if !matches!(self.status, 400 | 413 | 422 | 500) {
            return false;
        }
        let body = String::from_utf8_lossy(&self.body).to_lowercase();
        [
            "context_length_exceeded",
            "exceed_context_size",
            "context length",
            "context size",
            "context window",
            "prompt is too long",
        ]
        .iter()
        .any(|words| body.contains(words))
    }
}

impl ModelError {
    /// How long the endpoint or a limit asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Exhausted { after, .. } | Self::Resting { after } => Some(*after),
            _ => None,
        }
    }
}

/// A language model.
#[async_trait]
pub trait LanguageModel: Send + Sync {
    /// The model that answers when nobody names one.
    fn name(&self) -> &str;

    /// Sends a call, once, and answers as soon as the head of the answer is there.
    async fn send(&self, call: &Call) -> Result<Answer, ModelError>;

    /// The models of the endpoint, in OpenAI's shape: `{"object":"list","data":[{"id":…}]}`.
    async fn models(&self) -> Result<Value, ModelError>;
}
