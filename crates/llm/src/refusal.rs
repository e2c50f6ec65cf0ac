//! Decides what a refusal of an endpoint means. No other module and no other crate judges statuses or error texts.

use bytes::Bytes;
use memcloud_ports::{EndpointRefusal, ModelError, RefusalKind};

use crate::key::Key;

/// Words by which `OpenAI`, vLLM, llama.cpp and others say that a request is longer than the model can read.
const OVERFLOW: [&str; 6] = [
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context size",
    "context window",
    "prompt is too long",
];
/// Words by which `OpenAI`, vLLM, llama.cpp and text-embeddings-inference say that a text has too many tokens, or that a
/// request has too many texts.
const TOO_MUCH_TO_EMBED: [&str; 6] =
    ["too large", "too long", "maximum", "max_tokens", "exceed", "context length"];
/// Words in refusals of an answer format.
const ANSWER_FORMAT: [&str; 5] = ["response_format", "json_schema", "json_object", "schema", "grammar"];
const STREAM_OPTIONS: [&str; 2] = ["stream_options", "include_usage"];
/// The code by which `OpenAI` says that the account has no credit left. Its status is that of a rate limit, and so is the
/// message that others use for one.
const NO_QUOTA: &str = "insufficient_quota";

/// What a request asks for, as far as an endpoint may refuse it for that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requested {
    pub(crate) embeddings: bool,
    pub(crate) answer_format: bool,
    pub(crate) stream_options: bool,
}

/// Makes refusals of the answers to one request.
#[derive(Clone, Debug)]
pub(crate) struct Refusals {
    pub(crate) requested: Requested,
    pub(crate) key: Option<Key>,
}

impl Refusals {
    /// The refusal that an answer with this status is. The key is removed from it.
    pub(crate) fn of(&self, status: u16, content_type: Option<String>, body: Bytes) -> EndpointRefusal {
        let body = self.hide_key(body);
        let content_type = content_type.map(|kind| self.hide_key(kind.into()));
        let content_type = content_type.map(|kind| String::from_utf8_lossy(&kind).into_owned());
        let kind = kind(status, &String::from_utf8_lossy(&body).to_lowercase(), self.requested);
        EndpointRefusal { kind, status, content_type, body, retry_after: None }
    }

    /// The same as an error.
    pub(crate) fn error(&self, status: u16, content_type: Option<String>, body: Bytes) -> ModelError {
        ModelError::Refused(self.of(status, content_type, body))
    }

    /// A text of the endpoint without the key: some endpoints repeat a key that they refuse.
    pub(crate) fn hide_key(&self, text: Bytes) -> Bytes {
        match &self.key {
            Some(key) => key.hide(text),
            None => text,
        }
    }
}

/// What a refusal with this status and this body, in lower case, means.
fn kind(status: u16, body: &str, requested: Requested) -> RefusalKind {
    let says = |words: &[&str]| words.iter().any(|word| body.contains(word));
    let too_much = says(&OVERFLOW) || (requested.embeddings && says(&TOO_MUCH_TO_EMBED));
    match status {
        400 | 413 | 422 | 500 if too_much => RefusalKind::ContextOverflow,
        413 if requested.embeddings => RefusalKind::ContextOverflow,
        400 | 422 if requested.stream_options && says(&STREAM_OPTIONS) => {
            RefusalKind::StreamOptionsUnsupported
        }
        400 | 422 | 500 | 501 if requested.answer_format && says(&ANSWER_FORMAT) => {
            RefusalKind::AnswerFormatUnsupported
        }
        401 | 403 => RefusalKind::KeyRefused,
        402 => RefusalKind::QuotaExhausted,
        429 if body.contains(NO_QUOTA) => RefusalKind::QuotaExhausted,
        404 => RefusalKind::ModelUnknown,
        407 => RefusalKind::ProxyRefused,
        408 | 425 => RefusalKind::NotReady,
        409 => RefusalKind::Conflict,
        429 => RefusalKind::RateLimited,
        300..=399 => RefusalKind::Redirected,
        405 | 501 => RefusalKind::OperationUnsupported,
        500.. => RefusalKind::ServerFailed,
        _ => RefusalKind::BadRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RefusalKind::{
        AnswerFormatUnsupported, BadRequest, Conflict, ContextOverflow, KeyRefused, ModelUnknown, NotReady,
        OperationUnsupported, ProxyRefused, QuotaExhausted, RateLimited, Redirected, ServerFailed,
        StreamOptionsUnsupported,
    };

    const CHAT: Requested = Requested { embeddings: false, answer_format: true, stream_options: true };

    #[test]
    fn statuses_have_a_meaning() {
        for (statuses, kind) in [
            (vec![401, 403], KeyRefused),
            (vec![402], QuotaExhausted),
            (vec![404], ModelUnknown),
            (vec![407], ProxyRefused),
            (vec![408, 425], NotReady),
            (vec![409], Conflict),
            (vec![429], RateLimited),
            (vec![301, 302, 308], Redirected),
            (vec![405, 501], OperationUnsupported),
            (vec![500, 502, 503, 504, 520, 529, 599], ServerFailed),
            (vec![400, 406, 410, 413, 418, 422, 451], BadRequest),
        ] {
            for status in statuses {
                assert_eq!(super::kind(status, "no", CHAT), kind, "{status}");
            }
        }
    }

    #[test]
    fn error_texts_say_more_than_statuses() {
        let embeddings = Requested { embeddings: true, ..Requested::default() };
        for (status, body, requested, kind) in [
            (400, "this model's maximum context length is 8192 tokens", CHAT, ContextOverflow),
            (400, "context_length_exceeded", CHAT, ContextOverflow),
            (500, "the request exceeds the available context size", CHAT, ContextOverflow),
            (413, "prompt is too long: 210000 tokens", CHAT, ContextOverflow),
            (404, "context length", CHAT, ModelUnknown),
            (413, "payload", embeddings, ContextOverflow),
            (422, "batch size 64 > maximum allowed", embeddings, ContextOverflow),
            (400, "maximum", CHAT, BadRequest),
            (429, "{\"code\":\"insufficient_quota\"}", CHAT, QuotaExhausted),
            (429, "you exceeded your current quota, retry in 20 s", CHAT, RateLimited),
            (429, "rate limit", CHAT, RateLimited),
            (400, "unknown parameter: 'stream_options'", CHAT, StreamOptionsUnsupported),
            (400, "unknown parameter: 'stream_options'", Requested::default(), BadRequest),
            (400, "response_format is not supported", CHAT, AnswerFormatUnsupported),
            (500, "failed to parse grammar", CHAT, AnswerFormatUnsupported),
            (501, "json_schema", CHAT, AnswerFormatUnsupported),
            (500, "failed to parse grammar", Requested::default(), ServerFailed),
        ] {
            assert_eq!(super::kind(status, body, requested), kind, "{status} {body}");
        }
    }
}
