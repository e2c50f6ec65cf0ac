//! The prompts that the learner uses, by version: see `prompts/README.md`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use memcloud_domain::Episode;
use memcloud_ports::EmbeddedFact;
use serde_json::{Value, json};

use crate::llm_gate::ModelRequest;
use crate::profile::CATEGORY;
use crate::text::token_count;

/// The version of the prompts in use, as stored with each fact.
pub(crate) const VERSION: &str = "profile/1";

const LEARN: &str = include_str!("../../prompts/1/learn.md");
const MERGE: &str = include_str!("../../prompts/1/merge.md");
const PROFILE: &str = include_str!("../../prompts/1/profile.md");

/// How many tokens of messages the model reads in one call.
const MESSAGES_TOKENS: usize = 8_000;
/// How many tokens of each message it reads at least, however many messages there are.
const MESSAGE_TOKENS: usize = 400;

static PROFILE_TAGS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    PROFILE.lines().filter_map(|line| Some(line.strip_prefix("- ")?.split_once(':')?.0)).collect()
});

/// The tags of a category.
pub(crate) fn tags(category: &str) -> &'static [&'static str] {
    if category == CATEGORY { &PROFILE_TAGS } else { &[] }
}

/// The request that turns messages into commands.
pub(crate) fn learn(
    owner: &str,
    category: &str,
    facts: &[EmbeddedFact],
    episodes: &[Episode],
) -> ModelRequest {
    let each = (MESSAGES_TOKENS / episodes.len().max(1)).max(MESSAGE_TOKENS);
    let messages: Vec<Value> =
        episodes.iter().zip(1..).map(|(episode, number)| message(episode, number, each)).collect();
    let facts: Vec<Value> = facts.iter().zip(1..).map(|(fact, id)| fact_value(fact, id)).collect();
    let input = json!({"owner": owner, "facts": facts, "messages": messages});
    let schema = commands_schema(tags(category));
    ModelRequest::of_prompt(&format!("{LEARN}{PROFILE}"), &input, "profile_commands", &schema)
}

/// The request that merges facts.
pub(crate) fn merge(tag: &str, facts: &[EmbeddedFact]) -> ModelRequest {
    let facts: Vec<Value> = facts.iter().zip(1..).map(|(fact, id)| fact_value(fact, id)).collect();
    let input = json!({"tag": tag, "facts": facts});
    ModelRequest::of_prompt(MERGE, &input, "profile_merges", &merges_schema())
}

/// A fact under a small number, which models copy without mistakes.
fn fact_value(fact: &EmbeddedFact, id: usize) -> Value {
    let fact = &fact.fact;
    let since = fact.valid_from.day();
    json!({"id": id, "tag": fact.tag, "feature": fact.name, "value": fact.value, "since": since})
}

fn message(episode: &Episode, number: usize, tokens: usize) -> Value {
    let speaker = episode.metadata.get("speaker").and_then(Value::as_str).filter(|name| !name.is_empty());
    json!({
        "number": number,
        "said_by": speaker.unwrap_or(&episode.producer),
        "said_to": episode.produced_for,
        "at": episode.created_at.day_and_minute(),
        "text": token_count::shortened(&episode.content, tokens),
    })
}

fn commands_schema(tags: &[&str]) -> Value {
    object(&[(
        "commands",
        list_of(object(&[
            ("command", json!({"type": "string", "enum": ["add", "replace", "retire"]})),
            ("fact", json!({"type": ["integer", "null"]})),
            ("tag", json!({"type": "string", "enum": tags})),
            ("feature", json!({"type": "string"})),
            ("value", json!({"type": "string"})),
            ("messages", list_of(json!({"type": "integer"}))),
        ])),
    )])
}

fn merges_schema() -> Value {
    object(&[(
        "merges",
        list_of(object(&[
            ("facts", list_of(json!({"type": "integer"}))),
            ("feature", json!({"type": "string"})),
            ("value", json!({"type": "string"})),
        ])),
    )])
}

/// The schema of an object with exactly these fields, as strict endpoints require it.
fn object(fields: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: BTreeMap<&str, &Value> = fields.iter().map(|(name, schema)| (*name, schema)).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn list_of(items: Value) -> Value {
    let mut list = json!({"type": "array"});
    list["items"] = items;
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_profile_category_has_tags() {
        let tags = tags(CATEGORY);
        assert!(tags.len() > 20 && tags.contains(&"Home") && tags.contains(&"Other"), "{tags:?}");
        assert!(super::tags("another").is_empty());
    }
}
