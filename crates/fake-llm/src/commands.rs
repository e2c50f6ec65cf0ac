//! Turns messages into commands: statements become facts to add, replace and retire.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::statements::{Statement, statements};

/// The request.
#[derive(Debug, Deserialize)]
struct LearnInput {
    #[serde(default)]
    facts: Vec<Fact>,
    messages: Vec<Said>,
}

/// A known fact.
#[derive(Debug, Deserialize)]
struct Fact {
    id: Value,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    feature: String,
    #[serde(default)]
    value: String,
}

#[derive(Debug, Deserialize)]
struct Said {
    number: Value,
    text: String,
}

/// The answer.
#[derive(Debug, Default, Serialize)]
struct Commands {
    commands: Vec<Command>,
}

#[derive(Debug, Serialize)]
struct Command {
    #[serde(rename = "command")]
    verb: &'static str,
    fact: Value,
    tag: String,
    feature: String,
    value: String,
    messages: Vec<Value>,
    /// Whether several such facts can hold at once.
    #[serde(skip)]
    several: bool,
}

/// The commands for this JSON, as JSON; `None` when it cannot be read.
pub(crate) fn commands(asked: &str) -> String {
    let mut answer = Commands::default();
    if let Ok(asked) = serde_json::from_str::<LearnInput>(asked) {
        for said in &asked.messages {
            for statement in statements(&said.text) {
                answer.apply(statement, &said.number, &asked.facts);
            }
        }
    }
    // Texts and numbers always serialize.
    serde_json::to_string(&answer).unwrap_or_default()
}

impl Commands {
    fn apply(&mut self, statement: Statement, number: &Value, facts: &[Fact]) {
        // An earlier statement about the same thing in these messages is outdated.
        self.commands.retain(|command| !command.yields_to(&statement));
        let known = facts.iter().find(|fact| fact.is_about(&statement));
        let (verb, fact) = match known {
            Some(fact) if statement.over => ("retire", fact.id.clone()),
            None if statement.over => return,
            Some(fact) if same(&fact.value, &statement.value) => return,
            Some(fact) => ("replace", fact.id.clone()),
            None => ("add", Value::Null),
        };
        let Statement { tag, feature, value, several, .. } = statement;
        let messages = vec![number.clone()];
        self.commands.push(Command { verb, fact, tag: tag.to_owned(), feature, value, messages, several });
    }
}

impl Command {
    fn yields_to(&self, statement: &Statement) -> bool {
        same(&self.tag, statement.tag)
            && same(&self.feature, &statement.feature)
            && (!self.several || same(&self.value, &statement.value))
    }
}

impl Fact {
    /// Whether the statement is about this fact: the same name and, where several can hold at once, the same value.
    fn is_about(&self, statement: &Statement) -> bool {
        let exact = statement.several || statement.over;
        same(&self.tag, statement.tag)
            && same(&self.feature, &statement.feature)
            && (!exact || same(&self.value, &statement.value))
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The commands for these messages, one a line.
    fn asked(facts: &Value, texts: &[&str]) -> Vec<String> {
        let messages: Vec<Value> = texts
            .iter()
            .zip(1..)
            .map(|(text, n)| json!({"number": n, "said_by": "Ann", "text": text}))
            .collect();
        let asked = json!({"owner": "Ann", "facts": facts, "messages": messages});
        let answer: Value = serde_json::from_str(&commands(&asked.to_string())).unwrap();
        let line = |c: &Value| {
            let text = |name: &str| c[name].as_str().unwrap().to_owned();
            format!(
                "{} {} {}={} {}",
                text("command"),
                c["fact"],
                text("feature"),
                text("value"),
                c["messages"]
            )
        };
        answer["commands"].as_array().unwrap().iter().map(line).collect()
    }

    #[test]
    fn a_fact_is_added_replaced_or_known_already() {
        let facts = json!([{"id": 7, "tag": "Home", "feature": "city", "value": "Oslo"}]);
        assert_eq!(asked(&json!([]), &["Hi", "I live in Oslo"]), ["add null city=Oslo [2]"]);
        assert_eq!(asked(&facts, &["I moved to Lisbon"]), ["replace 7 city=Lisbon [1]"]);
        assert!(asked(&facts, &["I live in oslo"]).is_empty());
        assert_eq!(asked(&facts, &["I moved to Rome", "I moved to Bonn"]), ["replace 7 city=Bonn [2]"]);
        assert!(asked(&facts, &["I moved to Rome", "I live in Oslo"]).is_empty());
    }

    #[test]
    fn several_likes_hold_at_a_time() {
        let facts = json!([{"id": 1, "tag": "Likes", "feature": "likes", "value": "tea"}]);
        let both = ["add null likes=coffee [1]", "add null likes=milk [1]"];
        assert_eq!(asked(&facts, &["I like coffee and I love milk and I like tea"]), both);
        assert_eq!(asked(&facts, &["Forget that I like Tea"]), ["retire 1 likes=Tea [1]"]);
        assert_eq!(asked(&facts, &["I no longer like tea", "I like tea"]), [""; 0]);
        assert!(asked(&facts, &["I like milk", "I no longer like milk"]).is_empty());
        assert!(asked(&facts, &["I no longer like beer"]).is_empty());
    }

    #[test]
    fn an_unreadable_time_phrase_gives_no_range() {
        for asked in ["", "Hi", "[]", "{}", r#"{"messages": 7}"#] {
            assert_eq!(commands(asked), r#"{"commands":[]}"#);
        }
    }
}
