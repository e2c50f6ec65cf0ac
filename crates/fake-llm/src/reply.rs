//! The reply, before it is formatted as an answer.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::answer::answer;
use crate::commands::commands;
use crate::fault::Fault;
use crate::merges::merges;
use crate::request::{Request, Wants, tokens};

const BROKEN_JSON: &str = r#"{"commands": [{"command": "add", "tag": "#;
const OTHER_JSON: &str = r#"{"orders": [{"do": "add", "what": 7}], "note": ["this", "is", "no", "command"]}"#;
/// The tool to call when the request offers none.
const TOOL: &str = "lookup";

/// A reply. It is kept under its call's key, so that a repeated call gets the same reply.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) said: Said,
    prompt_tokens: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Said {
    Text(String),
    /// Null in place of a text.
    Null,
    /// A call of the tool of this name.
    Tool(String),
    /// A text that never ends.
    Endless,
}

impl Reply {
    /// The reply to the `number`th call.
    pub(crate) fn new(number: u64, request: &Request, faults: &[Fault]) -> Self {
        let said = faults.iter().find_map(|fault| instead(fault, request));
        Self {
            id: format!("chatcmpl-dev-{number}"),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            model: request.model.clone(),
            said: said.unwrap_or_else(|| Said::Text(honest(request))),
            prompt_tokens: request.tokens(),
        }
    }

    pub(crate) fn usage(&self) -> Value {
        let completion = if let Said::Text(text) = &self.said { tokens(text) } else { 0 };
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
        })
    }

    pub(crate) fn finish_reason(&self) -> &'static str {
        if matches!(self.said, Said::Tool(_)) { "tool_calls" } else { "stop" }
    }
}

fn honest(request: &Request) -> String {
    match request.wants {
        Wants::Answer => answer(&request.messages),
        Wants::Commands => commands(request.asked()),
        Wants::Merges => merges(request.asked()),
    }
}

/// The reply that a fault puts in place of the real one.
fn instead(fault: &Fault, request: &Request) -> Option<Said> {
    Some(match fault {
        Fault::BadJson => Said::Text(BROKEN_JSON.into()),
        Fault::WrongSchema => Said::Text(OTHER_JSON.into()),
        Fault::Empty => Said::Text(String::new()),
        Fault::NullContent => Said::Null,
        Fault::Tools => Said::Tool(request.tool.clone().unwrap_or_else(|| TOOL.into())),
        Fault::Huge => Said::Endless,
        _ => return None,
    })
}
