//! The reply, before it is formatted as an answer.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use crate::answer::answer;
use crate::commands::commands;
use crate::fault::Fault;
use crate::merges::merges;
use crate::request::{Request, Wants, tokens};

const BROKEN_JSON: &str = r#"{"commands": [{"command": "add", "tag": "#;
const OTHER_JSON: &str = r#"{"orders": [{"do": "add", "what": 7}], "note": ["this", "is", "no", "command"]}"#;
/// Words that hardly anyone says, so that a text made of them repeats no memory.
const WORDS: [&str; 40] = [
    "perhaps", "window", "seven", "gentle", "harbour", "copper", "orbit", "lantern", "quietly", "marble",
    "ladder", "velvet", "thunder", "pocket", "meadow", "ribbon", "silver", "kettle", "hollow", "candle",
    "bridge", "feather", "mirror", "pepper", "anchor", "button", "canyon", "drift", "ember", "fabric",
    "garlic", "hammer", "island", "jacket", "kernel", "lemon", "magnet", "needle", "olive", "pillow",
];
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
        let said = faults.iter().find_map(|fault| instead(number, fault, request));
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
fn instead(number: u64, fault: &Fault, request: &Request) -> Option<Said> {
    Some(match fault {
        Fault::BadJson => Said::Text(BROKEN_JSON.into()),
        Fault::WrongSchema => Said::Text(OTHER_JSON.into()),
        Fault::NewWords { count } => Said::Text(new_words(number, *count)),
        Fault::Empty => Said::Text(String::new()),
        Fault::NullContent => Said::Null,
        Fault::Tools => Said::Tool(request.tool.clone().unwrap_or_else(|| TOOL.into())),
        Fault::Huge => Said::Endless,
        _ => return None,
    })
}

/// `count` words, in an order that depends on the number of the call.
fn new_words(number: u64, count: usize) -> String {
    let mut random = StdRng::seed_from_u64(number);
    let words = (0..count).filter_map(|_| WORDS.choose(&mut random).copied());
    words.collect::<Vec<_>>().join(" ")
}
