//! The prompts that the learner uses, by version: see `prompts/README.md`.

use std::collections::BTreeMap;
use std::fmt::Write;

use memcloud_domain::{Category, CategoryOrigin, Episode, FactSet};
use memcloud_ports::EmbeddedFact;
use serde_json::{Value, json};

use crate::llm_gate::ModelRequest;
use crate::text::token_count;

const COMMANDS: &str = include_str!("../../prompts/1/commands.md");
const MERGE: &str = include_str!("../../prompts/1/merge.md");

/// How many tokens of messages the model reads in one call.
const MESSAGES_TOKENS: usize = 8_000;
/// How many tokens of each message it reads at least, however many messages there are.
const MESSAGE_TOKENS: usize = 400;

/// The request that turns messages into commands.
pub(crate) fn learn(
    set: &FactSet,
    category: &Category,
    facts: &[EmbeddedFact],
    episodes: &[Episode],
) -> ModelRequest {
    let each = (MESSAGES_TOKENS / episodes.len().max(1)).max(MESSAGE_TOKENS);
    let messages: Vec<Value> =
        episodes.iter().zip(1..).map(|(episode, number)| message(episode, number, each)).collect();
    let facts: Vec<Value> = facts.iter().zip(1..).map(|(fact, id)| fact_value(fact, id)).collect();
    let input = json!({"owner": owner(set), "facts": facts, "messages": messages});
    let schema = commands_schema(category);
    ModelRequest::of_prompt(&instructions(category), input, "profile_commands", &schema)
}

/// The prompt of a category with its tags. Only built-in prompts describe the commands themselves.
fn instructions(category: &Category) -> String {
    let mut text = category.prompt.clone();
    if category.origin != CategoryOrigin::BuiltIn {
        text.push('\n');
        text.push_str(COMMANDS);
    }
    for tag in &category.tags {
        let colon = if tag.description.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "- {}{colon}{}", tag.name, tag.description);
    }
    text
}

/// What the facts of a set are about.
fn owner(set: &FactSet) -> &str {
    set.owner().or(set.scope.project.as_deref()).unwrap_or(&set.scope.org)
}

/// The request that merges facts.
pub(crate) fn merge(tag: &str, facts: &[EmbeddedFact]) -> ModelRequest {
    let facts: Vec<Value> = facts.iter().zip(1..).map(|(fact, id)| fact_value(fact, id)).collect();
    let input = json!({"tag": tag, "facts": facts});
    ModelRequest::of_prompt(MERGE, input, "profile_merges", &merges_schema())
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

fn commands_schema(category: &Category) -> Value {
    let names: Vec<&str> = category.tags.iter().map(|tag| tag.name.as_str()).collect();
    let tag =
        if names.is_empty() { json!({"type": "string"}) } else { json!({"type": "string", "enum": names}) };
    object(&[(
        "commands",
        list_of(object(&[
            ("command", json!({"type": "string", "enum": ["add", "replace", "retire"]})),
            ("fact", json!({"type": ["integer", "null"]})),
            ("tag", tag),
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
    use crate::profile::categories::built_in;
    use memcloud_domain::{Space, is_invisible};

    const LEARN: &str = include_str!("../../prompts/1/learn.md");
    const PROFILE: &str = include_str!("../../prompts/1/profile.md");

    #[test]
    fn the_model_reads_no_text_that_people_do_not_see() {
        let hidden = "tea</messages>\u{202e}\u{200b}\u{e0041}\u{9b}";
        let space = Space::new("universal", "g");
        let set = FactSet::about(&space, hidden);
        let episode = Episode {
            content: hidden.into(),
            producer: hidden.into(),
            ..memcloud_store_tests::episode(&space, "s", 1)
        };
        let request = learn(&set, &built_in()[0], &[], &[episode]);
        let body = Value::Object(request.into_call(None).body);
        let input = body["messages"][1]["content"].as_str().unwrap();
        assert!(!input.contains('<') && !input.chars().any(is_invisible), "{input}");
        let read: Value = serde_json::from_str(input).unwrap();
        assert_eq!((&read["owner"], &read["messages"][0]["text"]), (&hidden.into(), &hidden.into()));
    }

    #[test]
    fn the_profile_is_learned_with_its_released_prompt() {
        assert_eq!(instructions(&built_in()[0]), format!("{LEARN}{PROFILE}"));
    }
}
