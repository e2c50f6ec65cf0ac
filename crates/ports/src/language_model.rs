//! Language models behind endpoints with OpenAI's API.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use memcloud_domain::excerpt;
use serde_json::{Map, Value};
use thiserror::Error;

/// A request of OpenAI's chat completions.
#[derive(Clone, Debug)]
pub struct Call {
    /// The body, as it is sent. The caller fills in `model` and `stream`.
    pub body: Map<String, Value>,
    /// A name for the request, the same for each repetition: an endpoint that honors it charges once.
    pub idempotency_key: Option<String>,
}

/// The tokens of a call, as the endpoint counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tokens {
    /// Tokens that the model read.
    pub prompt: u64,
    /// Tokens that it wrote.
    pub completion: u64,
}

/// The answer to a call, as soon as its head has arrived.
pub enum ModelAnswer {
    /// The whole answer.
    Whole(Completion),
    /// An answer that is streamed.
    Stream(Deltas),
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The body as received.
    pub raw: Bytes,
    /// The model's text; empty when there is none or when it only called tools.
    pub text: String,
    /// Whether the model called tools.
    pub calls_tools: bool,
    /// The tokens of the call, if the endpoint counted them.
    pub tokens: Option<Tokens>,
}

/// A streamed answer. It ends after the model has finished; a connection that breaks before that is an error.
pub type Deltas = Pin<Box<dyn Stream<Item = Result<Delta, ModelError>> + Send>>;

/// One event of a streamed answer.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    /// The event as received, with the empty line at its end.
    pub raw: Bytes,
    /// The text in it.
    pub text: String,
    /// Whether it is a part of a tool call.
    pub calls_tools: bool,
    /// The tokens of the call, if this event reports them.
    pub tokens: Option<Tokens>,
    /// Whether it is the end marker, `[DONE]`.
    pub is_end: bool,
}

/// Why a language model, or an embedding model behind an endpoint, did not answer.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The instance has none.
    #[error("this instance has no language model")]
    Missing,
    /// The endpoint cannot be reached.
    #[error("the model's endpoint cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The endpoint did not answer in time.
    #[error("the model did not answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// The endpoint answered with an error.
    #[error("the model's endpoint answered {}: {}", .0.status, .0.message())]
    Refused(EndpointRefusal),
    /// The connection was lost during the answer.
    #[error("the answer of the model broke off")]
    Cut(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer cannot be used.
    #[error("the model answered {what}")]
    Unusable {
        /// The answer, to be read after "answered".
        what: String,
    },
    /// The answer is empty.
    #[error("the language model answered nothing")]
    Nothing,
    /// The answer is too long.
    #[error("the model answered more than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// This instance has used up its budget.
    #[error("the instance has used up its budget of the language model for this {}", if *.daily { "day" } else { "minute" })]
    Exhausted {
        /// Whether the budget of the day is used up, or else that of the minute.
        daily: bool,
        /// When the next day or minute begins.
        after: Duration,
    },
    /// The circuit breaker is open after repeated failures.
    #[error("the language model failed several times in a row; calls fail fast for {} s", .after.as_secs().max(1))]
    Resting {
        /// When it is tried again.
        after: Duration,
    },
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The memory itself failed.
    #[error(transparent)]
    Memory(#[from] memcloud_domain::Error),
}

/// An answer of an endpoint that is an error.
#[derive(Clone, Debug)]
pub struct EndpointRefusal {
    /// What it means.
    pub kind: RefusalKind,
    /// Its HTTP status, to be passed on. What it means is in `kind`.
    pub status: u16,
    /// The type of its body.
    pub content_type: Option<String>,
    /// Its body as received, cut at a megabyte.
    pub body: Bytes,
    /// How long the endpoint asks to wait, if it does.
    pub retry_after: Option<Duration>,
}

/// What a refusal means. Only the crate that talks to endpoints decides this; all others act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// The endpoint does not accept the key.
    KeyRefused,
    /// A proxy before the endpoint wants credentials.
    ProxyRefused,
    /// The endpoint has no such model, or there is no endpoint at this address.
    ModelUnknown,
    /// The account has no credit left. Waiting does not help.
    QuotaExhausted,
    /// The account sends too many requests at the moment.
    RateLimited,
    /// The endpoint is not ready for the request.
    NotReady,
    /// The request conflicts with another one.
    Conflict,
    /// The request is longer than the model can read.
    ContextOverflow,
    /// The endpoint does not support the format that the answer was asked for in.
    AnswerFormatUnsupported,
    /// The endpoint does not support `stream_options`.
    StreamOptionsUnsupported,
    /// The endpoint points to another address. Redirects are not followed.
    Redirected,
    /// The endpoint does not offer this operation.
    OperationUnsupported,
    /// The endpoint does not accept this request for another reason.
    BadRequest,
    /// The endpoint failed.
    ServerFailed,
}

impl RefusalKind {
    /// Whether the same request may succeed a little later.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::NotReady | Self::Conflict | Self::ServerFailed)
    }

    /// Whether the request may be the cause, so that other requests may succeed. Otherwise all requests fail alike.
    pub fn may_be_request(self) -> bool {
        matches!(
            self,
            Self::Conflict
                | Self::ContextOverflow
                | Self::AnswerFormatUnsupported
                | Self::StreamOptionsUnsupported
                | Self::BadRequest
                | Self::ServerFailed
        )
    }
}

impl EndpointRefusal {
    /// What the endpoint says, on one line: the `message` of its error, or the beginning of its body.
    pub fn message(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        let json: Value = serde_json::from_str(&body).unwrap_or_default();
        let message = [&json["error"]["message"], &json["message"], &json["error"], &json["detail"]];
        let text = excerpt(message.into_iter().find_map(Value::as_str).unwrap_or(&body), 200);
        if text.is_empty() { "nothing more".into() } else { text }
    }
}

impl ModelError {
    /// How long to wait before the next call.
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
    /// The name of the default model.
    fn name(&self) -> &str;

    /// Sends a call once. Returns as soon as the head of the answer has arrived.
    async fn send(&self, call: &Call) -> Result<ModelAnswer, ModelError>;

    /// The models that the endpoint lists, in OpenAI's format: `{"object":"list","data":[{"id":…}]}`.
    async fn models(&self) -> Result<Value, ModelError>;
}
