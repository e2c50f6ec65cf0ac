//! The parts of a chat completions call that matter here.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::refusal::ErrorAnswer;

/// The purpose of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// To answer a chat.
    Answer,
    /// To extract facts, or to merge them.
    Extract,
}

/// What kind of reply is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    Answer,
    Commands,
    Merges,
}

impl Wants {
    pub(crate) fn kind(self) -> Kind {
        if self == Self::Answer { Kind::Answer } else { Kind::Extract }
    }
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) role: String,
    /// Its text, or the texts of its parts.
    pub(crate) text: String,
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) model: String,
    pub(crate) messages: Vec<Message>,
    pub(crate) wants: Wants,
    /// Whether to stream the answer.
    pub(crate) stream: bool,
    /// Whether the stream must report the tokens; `None` without `stream_options`.
    pub(crate) usage: Option<bool>,
    /// Whether it has `response_format`.
    pub(crate) has_format: bool,
    /// The first tool that it offers.
    pub(crate) tool: Option<String>,
}

impl Request {
    /// `model` is the one named in the address, if any.
    pub(crate) fn read(body: &Value, model: Option<&str>) -> Result<Self, ErrorAnswer> {
        let missing = |name: &str| ErrorAnswer::invalid(format!("Missing required parameter: '{name}'."));
        let model = model.or(body["model"].as_str()).filter(|model| !model.is_empty());
        let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
        let messages: Vec<Message> =
            messages.ok_or_else(|| missing("messages"))?.iter().map(message).collect();
        if messages.iter().any(|message| message.role.is_empty()) {
            return Err(missing("messages[].role"));
        }
        let present = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
        let stream = body["stream"] == true;
        if present("stream_options") && !stream {
            return Err(ErrorAnswer::invalid(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            ));
        }
        Ok(Self {
            model: model.ok_or_else(|| missing("model"))?.to_owned(),
            wants: wants(body, &messages),
            messages,
            stream,
            usage: present("stream_options").then(|| body["stream_options"]["include_usage"] == true),
            has_format: present("response_format"),
            tool: body["tools"][0]["function"]["name"].as_str().map(str::to_owned),
        })
    }

    /// The last message of the user.
    pub(crate) fn asked(&self) -> &str {
        last_of_user(&self.messages)
    }

    /// An estimate of its tokens.
    pub(crate) fn tokens(&self) -> u64 {
        self.messages.iter().map(|message| tokens(&message.text)).sum()
    }
}

/// An estimate of a text's tokens: one for four characters.
pub(crate) fn tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

fn message(value: &Value) -> Message {
    let role = value["role"].as_str().unwrap_or_default().to_owned();
    let text = match &value["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    };
    Message { role, text }
}

fn last_of_user(messages: &[Message]) -> &str {
    messages.iter().rfind(|message| message.role == "user").map_or("", |message| &message.text)
}

/// Judged by the name of the schema or, without a schema, by the text of the request.
fn wants(body: &Value, messages: &[Message]) -> Wants {
    match body["response_format"]["json_schema"]["name"].as_str() {
        Some("profile_commands") => return Wants::Commands,
        Some("profile_merges") => return Wants::Merges,
        Some(_) => return Wants::Answer,
        None => {}
    }
    let asked: Value = serde_json::from_str(last_of_user(messages)).unwrap_or_default();
    match (asked["facts"].is_array(), asked["messages"].is_array(), asked["tag"].is_string()) {
        (true, true, _) => Wants::Commands,
        (true, false, true) => Wants::Merges,
        _ => Wants::Answer,
    }
}
