//! What an answer of the chat completions says, be it the whole or one event of it.
//!
//! Of the fields that the protocol has, and those that others have added, only those are looked at that the memory
//! needs. Reasoning (`reasoning_content`, `reasoning`) is not what a model says and is left out.

use bytes::Bytes;
use memcloud_ports::Tokens;
use serde_json::{Map, Value};

use crate::endpoint::Endpoint;
use crate::error::EndpointError;

/// The status of an error that comes inside an answer with status 200 and does not say what it would have been.
const FAILED: u16 = 500;

/// How much of an answer that is no JSON is told, in characters.
const TOLD: usize = 80;

/// What is in an answer, or in a part of it.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) calls_tools: bool,
    pub(crate) tokens: Option<Tokens>,
    /// Whether the model says that nothing more will come.
    pub(crate) finished: bool,
}

impl Said {
    /// Reads a whole answer.
    pub(crate) fn whole(answer: &Map<String, Value>) -> Result<Self, EndpointError> {
        let choices = answer.get("choices").and_then(Value::as_array);
        let choice = choices.and_then(|choices| first(choices).or(choices.first()));
        let choice = choice.ok_or_else(|| EndpointError::Unusable("something without choices".into()))?;
        Ok(Self { tokens: tokens(answer), ..Self::in_choice(choice, &choice["message"]) })
    }

    /// Reads an event of a streamed answer. One without choices tells what the call took, or nothing.
    pub(crate) fn part(event: &Map<String, Value>) -> Self {
        let choices = event.get("choices").and_then(Value::as_array);
        let said = choices.and_then(|choices| first(choices)).map(|choice| {
            // Some send the last event as if it were a whole answer.
            let message = if choice["delta"].is_null() { &choice["message"] } else { &choice["delta"] };
            Self::in_choice(choice, message)
        });
        Self { tokens: tokens(event), ..said.unwrap_or_default() }
    }

    fn in_choice(choice: &Value, message: &Value) -> Self {
        let mut text = text(&message["content"]);
        if text.is_empty() {
            text = self::text(&message["refusal"]);
        }
        let calls_tools = message["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty())
            || message["function_call"].is_object();
        let finished = choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty());
        Self { text, calls_tools, tokens: None, finished }
    }
}

/// Of several choices, the one that counts: the first by number, or the first that has none.
fn first(choices: &[Value]) -> Option<&Value> {
    choices.iter().find(|choice| choice["index"].as_u64().is_none_or(|index| index == 0))
}

/// A content: a text, or a list of parts, of which those that are text count.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.as_str().or(part["text"].as_str())).collect()
        }
        _ => String::new(),
    }
}

/// Usage goes by the names of the chat completions, or by those of later interfaces.
fn tokens(answer: &Map<String, Value>) -> Option<Tokens> {
    let usage = answer.get("usage")?;
    let count = |names: [&str; 2]| {
        names.into_iter().find_map(|name| usage[name].as_f64()).map(|count| count.max(0.0) as u64)
    };
    let prompt = count(["prompt_tokens", "input_tokens"]);
    let completion = count(["completion_tokens", "output_tokens"]);
    (prompt.is_some() || completion.is_some())
        .then(|| Tokens { prompt: prompt.unwrap_or_default(), completion: completion.unwrap_or_default() })
}

/// Reads a JSON object that an endpoint has sent with status 200; an error in it is an error.
pub(crate) fn object(
    endpoint: &Endpoint,
    content_type: Option<String>,
    raw: &Bytes,
) -> Result<Map<String, Value>, EndpointError> {
    let answer = match serde_json::from_slice(raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw)) {
        Ok(Value::Object(answer)) => answer,
        Err(error) if error.is_eof() && !raw.trim_ascii().is_empty() => {
            return Err(EndpointError::Cut(Box::new(error)));
        }
        _ => return Err(EndpointError::Unusable(no_object(&endpoint.hide(raw.clone())))),
    };
    if is_error(&answer) {
        return Err(failed(endpoint, content_type, raw.clone()));
    }
    Ok(answer)
}

/// An error that came with status 200. Its status is what it says itself, in the manner of vLLM, llama.cpp and
/// `OpenRouter`, or that of a failure.
pub(crate) fn failed(endpoint: &Endpoint, content_type: Option<String>, raw: Bytes) -> EndpointError {
    let error: Value = serde_json::from_slice(&raw).unwrap_or_default();
    let code = error["error"]["code"].as_u64().or(error["code"].as_u64());
    let status = code.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code));
    endpoint.failed(status.unwrap_or(FAILED), content_type, raw)
}

fn is_error(answer: &Map<String, Value>) -> bool {
    match answer.get("error") {
        Some(Value::String(message)) => !message.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        _ => answer.get("object").is_some_and(|object| object == "error"),
    }
}

fn no_object(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TOLD) {
        _ if line.is_empty() => "nothing".into(),
        Some((end, _)) => format!("something that is no JSON object: {}…", &line[..end]),
        None => format!("something that is no JSON object: {line}"),
    }
}
