//! Reads answers of the chat completions, whole ones and events of a stream.
//!
//! Only the fields that the memory needs are read. Reasoning (`reasoning_content`, `reasoning`) is not part of the text.

use bytes::Bytes;
use memcloud_domain::excerpt;
use memcloud_ports::{ModelError, Tokens};
use serde_json::{Map, Value};

use crate::refusal::Refusals;

/// The status of an error that arrives with status 200 and names no other.
const DEFAULT_STATUS: u16 = 500;

/// How much of an answer that is not a JSON object an error quotes, in characters.
const EXCERPT_CHARS: usize = 80;

/// What an answer, or an event of it, contains.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) text: String,
    pub(crate) calls_tools: bool,
    pub(crate) tokens: Option<Tokens>,
    /// Whether the model has finished.
    pub(crate) finished: bool,
}

impl Content {
    /// Reads a whole answer.
    pub(crate) fn whole(answer: &Map<String, Value>) -> Result<Self, ModelError> {
        let choices = answer.get("choices").and_then(Value::as_array);
        let choice = choices.and_then(|choices| first(choices).or(choices.first()));
        let choice =
            choice.ok_or_else(|| ModelError::Unusable { what: "something without choices".into() })?;
        Ok(Self { tokens: tokens(answer), ..Self::of_choice(choice, &choice["message"]) })
    }

    /// Reads an event of a streamed answer. One without choices may report the tokens of the call.
    pub(crate) fn event(event: &Map<String, Value>) -> Self {
        let choices = event.get("choices").and_then(Value::as_array);
        let content = choices.and_then(|choices| first(choices)).map(|choice| {
            // Some endpoints send the last event like a whole answer.
            let message = if choice["delta"].is_null() { &choice["message"] } else { &choice["delta"] };
            Self::of_choice(choice, message)
        });
        Self { tokens: tokens(event), ..content.unwrap_or_default() }
    }

    fn of_choice(choice: &Value, message: &Value) -> Self {
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

/// The choice that counts: the first by number, or the first without a number.
fn first(choices: &[Value]) -> Option<&Value> {
    choices.iter().find(|choice| choice["index"].as_u64().is_none_or(|index| index == 0))
}

/// The text of a content: a string, or the text parts of a list.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.as_str().or(part["text"].as_str())).collect()
        }
        _ => String::new(),
    }
}

/// The usage, by the field names of the chat completions or of later APIs.
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

/// Reads a JSON object that arrived with status 200. An object that reports an error is a refusal.
pub(crate) fn object(
    refusals: &Refusals,
    content_type: Option<String>,
    raw: &Bytes,
) -> Result<Map<String, Value>, ModelError> {
    let answer = match serde_json::from_slice(raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw)) {
        Ok(Value::Object(answer)) => answer,
        Err(error) if error.is_eof() && !raw.trim_ascii().is_empty() => {
            return Err(ModelError::Cut(Box::new(error)));
        }
        _ => return Err(ModelError::Unusable { what: not_an_object(&refusals.hide_key(raw.clone())) }),
    };
    if is_error(&answer) {
        return Err(failed(refusals, content_type, raw.clone()));
    }
    Ok(answer)
}

/// A refusal that arrived with status 200. vLLM, llama.cpp and `OpenRouter` name its real status in it.
pub(crate) fn failed(refusals: &Refusals, content_type: Option<String>, raw: Bytes) -> ModelError {
    let error: Value = serde_json::from_slice(&raw).unwrap_or_default();
    let code = error["error"]["code"].as_u64().or(error["code"].as_u64());
    let status = code.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code));
    refusals.error(status.unwrap_or(DEFAULT_STATUS), content_type, raw)
}

fn is_error(answer: &Map<String, Value>) -> bool {
    match answer.get("error") {
        Some(Value::String(message)) => !message.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        _ => answer.get("object").is_some_and(|object| object == "error"),
    }
}

fn not_an_object(raw: &[u8]) -> String {
    match excerpt(&String::from_utf8_lossy(raw), EXCERPT_CHARS) {
        text if text.is_empty() => "nothing".into(),
        text => format!("something that is not a JSON object: {text}"),
    }
}
