//! Requests of OpenAI's chat completions. No other module of this crate knows their format.

use std::collections::HashSet;

use memcloud_ports::Call;
use memcloud_tasks::INLINE_BYTES;
use serde_json::{Map, Value, json};

use crate::text::quotation::quoted;
use crate::text::token_count::estimate;

/// What a message costs besides its text: its role and the marks around it. `OpenAI` gives this number for its models.
const TOKENS_PER_MESSAGE: usize = 4;
/// The estimate for an image: models charge between 85 and about 1,600 tokens.
const TOKENS_PER_IMAGE: usize = 1_000;

/// A request to the language model, in the format of OpenAI's chat completions.
#[derive(Clone, Debug, Default)]
pub struct ModelRequest(Map<String, Value>);

impl From<Map<String, Value>> for ModelRequest {
    fn from(body: Map<String, Value>) -> Self {
        Self(body)
    }
}

/// How strictly the format of an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFormat {
    /// By its JSON schema.
    Schema,
    /// As any JSON object.
    Object,
    /// By the prompt alone.
    Prompt,
}

impl AnswerFormat {
    /// The format of this number; all others are the last.
    pub(crate) fn of(number: u8) -> Self {
        match number {
            0 => Self::Schema,
            1 => Self::Object,
            _ => Self::Prompt,
        }
    }
}

impl ModelRequest {
    /// A request with instructions and their input, quoted, whose answer is JSON of this named schema.
    pub(crate) fn of_prompt(instructions: &str, input: Value, name: &str, schema: &Value) -> Self {
        let messages = json!([
            {"role": "system", "content": instructions},
            {"role": "user", "content": quoted(input)},
        ]);
        let json_schema = json!({"name": name, "strict": true, "schema": schema});
        let format = json!({"type": "json_schema", "json_schema": json_schema});
        Self(Map::from_iter([("messages".to_owned(), messages), ("response_format".to_owned(), format)]))
    }

    /// Whether reading it takes longer than a switch to another thread. Only messages of plain text count by their length.
    pub(crate) fn is_large(&self) -> bool {
        let bytes = |message: &Value| match (&message["content"], message.get("tool_calls")) {
            (Value::String(text), None) => text.len(),
            _ => INLINE_BYTES + 1,
        };
        let is_plain = ["tools", "functions"].iter().all(|field| !self.0.contains_key(*field));
        !is_plain || self.messages().map(bytes).sum::<usize>() > INLINE_BYTES
    }

    /// The estimated tokens that the model reads: the messages, and what else it is given.
    pub(crate) fn estimated_tokens(&self) -> usize {
        let messages: usize = self.messages().map(message_tokens).sum();
        let others = ["tools", "functions", "response_format"].iter().filter_map(|field| self.0.get(*field));
        messages.saturating_add(others.map(|value| estimate(&value.to_string())).sum())
    }

    /// The most tokens of all answers together, with this number for each answer that the request does not limit.
    pub(crate) fn completion_tokens(&self, unlimited: usize) -> usize {
        let number = |field: &str| self.0.get(field).and_then(Value::as_u64);
        let most = number("max_completion_tokens").or(number("max_tokens"));
        let most = most.map_or(unlimited, |most| usize::try_from(most).unwrap_or(usize::MAX));
        most.saturating_mul(number("n").unwrap_or(1).max(1) as usize)
    }

    /// The texts of all messages.
    pub(crate) fn texts(&self) -> HashSet<&str> {
        let texts = self.messages().flat_map(|message| match &message["content"] {
            Value::String(text) => vec![text.trim()],
            Value::Array(parts) => {
                parts.iter().filter_map(|part| part["text"].as_str()).map(str::trim).collect()
            }
            _ => vec![],
        });
        texts.filter(|text| !text.is_empty()).collect()
    }

    /// Adds a context at the end of the client's own system message, since some models accept only one, and only at the
    /// beginning.
    pub(crate) fn add_context(&mut self, context: &str) {
        let Some(Value::Array(messages)) = self.0.get_mut("messages") else { return };
        let first = messages
            .first_mut()
            .filter(|first| matches!(first["role"].as_str(), Some("system" | "developer")));
        let Some(first) = first else {
            messages.insert(0, json!({"role": "system", "content": context}));
            return;
        };
        match &mut first["content"] {
            Value::String(own) => {
                own.push_str("\n\n");
                own.push_str(context);
            }
            Value::Array(parts) => parts.push(json!({"type": "text", "text": context})),
            empty => *empty = context.into(),
        }
    }

    /// Whether the answer is to be streamed.
    pub fn is_streamed(&self) -> bool {
        self.0.get("stream").is_some_and(|stream| stream == &Value::Bool(true))
    }

    /// Asks for the token usage at the end of a stream.
    pub(crate) fn ask_usage(&mut self) {
        self.0.insert("stream_options".into(), json!({"include_usage": true}));
    }

    /// Names this model, unless the request names one.
    pub(crate) fn default_model(&mut self, model: &str) {
        self.0.entry("model").or_insert_with(|| model.into());
    }

    /// Asks for the answer's format in this way.
    pub(crate) fn set_format(&mut self, format: AnswerFormat) {
        match format {
            AnswerFormat::Schema => {}
            AnswerFormat::Object => {
                self.0.insert("response_format".into(), json!({"type": "json_object"}));
            }
            AnswerFormat::Prompt => {
                self.0.remove("response_format");
            }
        }
    }

    /// The call that sends this request.
    pub(crate) fn into_call(self, idempotency_key: Option<String>) -> Call {
        Call { body: self.0, idempotency_key }
    }

    fn messages(&self) -> impl Iterator<Item = &Value> {
        self.0.get("messages").and_then(Value::as_array).into_iter().flatten()
    }
}

fn message_tokens(message: &Value) -> usize {
    let calls = message.get("tool_calls").map_or(0, |calls| estimate(&calls.to_string()));
    let content = match &message["content"] {
        Value::String(text) => estimate(text),
        Value::Array(parts) => {
            parts.iter().map(|part| part["text"].as_str().map_or(TOKENS_PER_IMAGE, estimate)).sum()
        }
        _ => 0,
    };
    TOKENS_PER_MESSAGE + content + calls
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_context(messages: Value) -> Value {
        let mut request = ModelRequest(Map::from_iter([("messages".to_owned(), messages)]));
        request.add_context("CONTEXT");
        request.0["messages"].clone()
    }

    #[test]
    fn the_context_goes_into_the_only_system_message() {
        let user = json!({"role": "user", "content": "hi"});
        let added = with_context(json!([user]));
        assert_eq!(added, json!([{"role": "system", "content": "CONTEXT"}, user]));
        let added = with_context(json!([{"role": "system", "content": "Be brief."}, user]));
        assert_eq!(added, json!([{"role": "system", "content": "Be brief.\n\nCONTEXT"}, user]));
        let brief = json!({"type": "text", "text": "Be brief."});
        let added = with_context(json!([{"role": "developer", "content": [brief]}]));
        assert_eq!(added[0]["content"], json!([brief, {"type": "text", "text": "CONTEXT"}]));
    }

    #[test]
    fn completion_tokens_count_every_answer() {
        let of = |body: Value| ModelRequest(body.as_object().unwrap().clone()).completion_tokens(500);
        assert_eq!(of(json!({})), 500);
        assert_eq!(of(json!({"max_tokens": 7, "max_completion_tokens": 9})), 9);
        assert_eq!(of(json!({"max_tokens": 7, "n": 3})), 21);
        assert_eq!(of(json!({"max_tokens": u64::MAX, "n": 3})), usize::MAX);
    }
}
