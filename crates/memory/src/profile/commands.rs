//! Reads the commands in a model's answer. Models answer almost what they were asked for: with prose around the JSON,
//! numbers as strings, commands that do not apply. Commands that can be understood are used and the others ignored; an
//! answer without any is unusable.

use std::collections::{HashMap, HashSet};

use memcloud_domain::{Episode, EpisodeId, Metadata, Tag, Timestamp, excerpt};
use serde_json::Value;

use memcloud_ports::{EmbeddedFact, NewFact, Revision};

/// The longest name and the longest value of a fact, in characters. Longer texts are cut.
const NAME_CHARS: usize = 100;
const VALUE_CHARS: usize = 1_000;
/// How much of an unusable answer an error quotes, in characters.
const EXCERPT_CHARS: usize = 80;

/// The revisions that an answer asks for. `Err` describes an unusable answer, to be read after "answered".
pub(crate) fn read(
    answer: &str,
    facts: &[EmbeddedFact],
    episodes: &[Episode],
    tags: &[Tag],
) -> Result<Vec<Revision>, String> {
    let commands = list(answer, "commands")?;
    let asked = commands.len();
    let mut changed = HashSet::new();
    let revisions: Vec<Revision> = commands
        .iter()
        .filter_map(|command| revision(command, facts, episodes, tags, &mut changed))
        .collect();
    if revisions.is_empty() && asked > 0 && !commands.iter().any(|command| command["command"].is_string()) {
        return Err(format!("with {asked} commands, none of which has a known type"));
    }
    Ok(revisions)
}

/// The merges that an answer asks for: the facts, and the fact that replaces them.
pub(crate) fn read_merges(answer: &str, facts: &[EmbeddedFact]) -> Result<Vec<Revision>, String> {
    let mut used = HashSet::new();
    let merges = list(answer, "merges")?;
    Ok(merges.iter().filter_map(|merge| merged(merge, facts, &mut used)).collect())
}

fn merged(merge: &Value, facts: &[EmbeddedFact], used: &mut HashSet<usize>) -> Option<Revision> {
    let mut places: Vec<usize> =
        merge["facts"].as_array()?.iter().filter_map(|id| place(id, facts.len())).collect();
    places.sort_unstable();
    places.dedup();
    // A fact can be merged only once.
    if places.len() < 2 || places.iter().any(|place| used.contains(place)) {
        return None;
    }
    let first = &facts[places[0]].fact;
    let name = text(&merge["feature"], NAME_CHARS).unwrap_or_else(|| first.name.clone());
    let new = NewFact {
        tag: first.tag.clone(),
        name,
        value: text(&merge["value"], VALUE_CHARS)?,
        metadata: Metadata::new(),
        citations: vec![],
        valid_from: first.valid_from,
        vector: None,
    };
    used.extend(&places);
    Some(Revision::Merge { old: places.into_iter().map(|place| facts[place].fact.id).collect(), new })
}

fn revision(
    command: &Value,
    facts: &[EmbeddedFact],
    episodes: &[Episode],
    tags: &[Tag],
    changed: &mut HashSet<usize>,
) -> Option<Revision> {
    let verb = command["command"].as_str()?.trim().to_lowercase();
    let cited = cited(&command["messages"], episodes);
    // Of two commands about one fact only the first counts.
    let old = place(&command["fact"], facts.len()).filter(|place| !changed.contains(place));
    if verb == "retire" || verb == "delete" {
        let place = old?;
        changed.insert(place);
        return Some(Revision::Retire { old: facts[place].fact.id, at: latest(&cited)? });
    }
    let new = NewFact {
        tag: tag(&command["tag"], tags)?,
        name: text(&command["feature"], NAME_CHARS)?.to_lowercase(),
        value: text(&command["value"], VALUE_CHARS)?,
        valid_from: latest(&cited)?,
        metadata: Metadata::new(),
        citations: cited.into_iter().map(|(id, _)| id).collect(),
        vector: None,
    };
    match (verb.as_str(), old) {
        ("add", _) | ("replace" | "update", None) => Some(Revision::Add(new)),
        ("replace" | "update", Some(place)) => {
            changed.insert(place);
            Some(Revision::Replace { old: facts[place].fact.id, new })
        }
        _ => None,
    }
}

/// The tag that a command names, if the category has it. A category without tags has any.
fn tag(named: &Value, tags: &[Tag]) -> Option<String> {
    let named = text(named, NAME_CHARS)?;
    if tags.is_empty() {
        return Some(named);
    }
    tags.iter().map(|tag| &tag.name).find(|known| known.eq_ignore_ascii_case(&named)).cloned()
}

/// The messages that a command cites; all messages when it cites none that exists.
fn cited(numbers: &Value, episodes: &[Episode]) -> Vec<(EpisodeId, Timestamp)> {
    let named: HashSet<usize> =
        numbers.as_array().into_iter().flatten().filter_map(|number| place(number, episodes.len())).collect();
    let all = episodes.iter().enumerate();
    all.filter(|(at, _)| named.is_empty() || named.contains(at)).map(|(_, e)| (e.id, e.created_at)).collect()
}

fn latest(cited: &[(EpisodeId, Timestamp)]) -> Option<Timestamp> {
    cited.iter().map(|(_, at)| *at).max()
}

/// The index into a list that a number from 1 means. Models also write numbers as strings.
fn place(number: &Value, count: usize) -> Option<usize> {
    let number = number.as_u64().or_else(|| number.as_str()?.trim().parse().ok())?;
    usize::try_from(number).ok()?.checked_sub(1).filter(|place| *place < count)
}

/// A text on one line, cut to this many characters; `None` when it is empty.
fn text(value: &Value, chars: usize) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    let line = text.replace('\0', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = line.char_indices().nth(chars).map_or(line.len(), |(end, _)| end);
    (cut > 0).then(|| line[..cut].to_owned())
}

/// The list of this name in the JSON of the answer.
fn list(answer: &str, name: &str) -> Result<Vec<Value>, String> {
    let Some(found) = objects(answer) else {
        return Err(format!("without JSON: {}", excerpt(answer, EXCERPT_CHARS)));
    };
    match found {
        Value::Array(items) => Ok(items),
        Value::Object(mut fields) => match fields.remove(name) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(format!("JSON without '{name}'")),
        },
        _ => Err(format!("JSON without '{name}'")),
    }
}

/// The last JSON object or list in a text: a model's reasoning comes before its answer.
fn objects(text: &str) -> Option<Value> {
    if let Ok(whole @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text.trim()) {
        return Some(whole);
    }
    let mut found = None;
    let mut rest = text;
    while let Some(start) = rest.find(['{', '[']) {
        let mut reader = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<Value>();
        match reader.next() {
            Some(Ok(value @ (Value::Object(_) | Value::Array(_)))) => {
                rest = &rest[start + reader.byte_offset()..];
                found = Some(value);
            }
            _ => rest = &rest[start + 1..],
        }
    }
    found
}

/// The new facts in revisions.
pub(crate) fn new_facts(revisions: &mut [Revision]) -> Vec<&mut NewFact> {
    let new = revisions.iter_mut().filter_map(|revision| match revision {
        Revision::Add(new) | Revision::Replace { new, .. } | Revision::Merge { new, .. } => Some(new),
        Revision::Retire { .. } => None,
    });
    new.collect()
}

/// How many facts of each tag the revisions add.
pub(crate) fn added(revisions: &[Revision]) -> HashMap<String, usize> {
    let mut added = HashMap::new();
    for revision in revisions {
        if let Revision::Add(new) = revision {
            *added.entry(new.tag.clone()).or_default() += 1;
        }
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;
    use memcloud_domain::{Fact, FactId, FactSet, FactTarget, Purpose, Space, TagId};
    use proptest::prelude::*;
    use serde_json::json;

    fn episodes(count: usize) -> Vec<Episode> {
        let now = Timestamp::from_micros(1_700_000_000_000_000).unwrap();
        let at = |n: usize| Timestamp::from_micros(now.as_micros() + n as i64).unwrap();
        (0..count)
            .map(|n| Episode {
                id: EpisodeId::new(now, n as u16),
                space: Space::new("universal", "g"),
                session: "s".into(),
                content: format!("message {n}"),
                producer: "ann".into(),
                produced_for: String::new(),
                role: String::new(),
                kind: "message".into(),
                metadata: Metadata::new(),
                created_at: at(n),
                ingested_at: now,
                purpose: Purpose::Recall,
            })
            .collect()
    }

    fn facts(count: i64) -> Vec<EmbeddedFact> {
        let now = Timestamp::from_micros(1_700_000_000_000_000).unwrap();
        let fact = |n| Fact {
            id: FactId::from_number(100 + n),
            target: FactTarget {
                set: FactSet::about(&Space::new("universal", "g"), "ann"),
                category: "profile".into(),
            },
            tag: "Home".into(),
            name: "city".into(),
            value: format!("city {n}"),
            metadata: Metadata::new(),
            citations: vec![],
            valid_from: now,
            valid_to: None,
            learned_at: now,
            prompt: "profile/1".into(),
            model: "m".into(),
        };
        (0..count).map(|n| EmbeddedFact { fact: fact(n), vector: None }).collect()
    }

    fn tags() -> Vec<Tag> {
        let tag =
            |name: &str| Tag { id: TagId(uuid::Uuid::nil()), name: name.into(), description: String::new() };
        ["Home", "Work"].map(tag).into()
    }

    fn revisions(answer: &Value) -> Vec<Revision> {
        read(&answer.to_string(), &facts(2), &episodes(3), &tags()).unwrap()
    }

    #[test]
    fn every_command_becomes_a_revision() {
        let said = episodes(3);
        let command = |verb, fact: Value, value| json!({"command": verb, "fact": fact, "tag": "work", "feature": "Job", "value": value, "messages": [2]});
        let answer = json!({"commands": [
            command("add", Value::Null, "cook"), command("replace", json!("1"), "baker"), command("retire", json!(2), ""),
        ]});
        let read = read(&answer.to_string(), &facts(2), &said, &tags()).unwrap();
        let new = |value: &str| NewFact {
            tag: "Work".into(),
            name: "job".into(),
            value: value.into(),
            metadata: Metadata::new(),
            citations: vec![said[1].id],
            valid_from: said[1].created_at,
            vector: None,
        };
        let expected = [
            Revision::Add(new("cook")),
            Revision::Replace { old: FactId::from_number(100), new: new("baker") },
            Revision::Retire { old: FactId::from_number(101), at: said[1].created_at },
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn json_is_found_among_prose() {
        let command =
            r#"{"commands": [{"command": "add", "tag": "Home", "feature": "city", "value": "Oslo"}]}"#;
        for answer in [
            format!("```json\n{command}\n```"),
            format!("<think>{{maybe [not]}} {{\"commands\": []}}</think>\n{command} That is all."),
            format!("Here: {command}"),
        ] {
            assert_eq!(read(&answer, &[], &episodes(1), &tags()).unwrap().len(), 1, "{answer}");
        }
    }

    #[test]
    fn commands_that_do_not_apply_are_ignored() {
        let good =
            json!({"command": "add", "tag": "Home", "feature": "city", "value": "Oslo", "messages": [9]});
        let answer = json!({"commands": [
            {"command": "add", "tag": "Invented", "feature": "city", "value": "Oslo"},
            {"command": "add", "tag": "Home", "feature": "city", "value": "  "},
            {"command": "retire", "fact": 9}, {"command": "dance"}, 7, good,
        ]});
        let [Revision::Add(only)] = &revisions(&answer)[..] else { panic!("one command applies") };
        assert_eq!(only.citations.len(), 3, "it cites no message that exists");
        assert!(revisions(&json!({"commands": []})).is_empty());
    }

    #[test]
    fn a_category_without_tags_leaves_them_to_the_model() {
        let command = json!({"command": "add", "tag": "Sailing", "feature": "boat", "value": "a dinghy"});
        let answer = json!({"commands": [command]}).to_string();
        let [Revision::Add(new)] = &read(&answer, &[], &episodes(1), &[]).unwrap()[..] else { panic!() };
        assert_eq!(new.tag, "Sailing");
    }

    #[test]
    fn an_answer_without_commands_is_unusable() {
        for answer in
            ["", "no", "{", r#"{"orders": []}"#, "7", r#"{"commands": {"command": "add"}}"#, "[1, 2]"]
        {
            assert!(read(answer, &facts(1), &episodes(1), &tags()).is_err(), "{answer}");
        }
    }

    #[test]
    fn a_fact_is_merged_only_once() {
        let answer = json!({"merges": [
            {"facts": [1, 2], "feature": "cities", "value": "Oslo and Rome"},
            {"facts": [2, 3], "feature": "cities", "value": "Rome and Bonn"},
            {"facts": [3], "feature": "city", "value": "Bonn"}, {"facts": [3, 9], "value": "Bonn"},
        ]});
        let merges = read_merges(&answer.to_string(), &facts(3)).unwrap();
        let [Revision::Merge { old, new }] = &merges[..] else { panic!("{merges:?}") };
        assert_eq!((old.len(), new.value.as_str()), (2, "Oslo and Rome"));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(answer in "\\PC{0,60}|[\\[\\]{}\"a:,1 ]{0,60}") {
            let _ = read(&answer, &facts(2), &episodes(2), &tags());
            let _ = read_merges(&answer, &facts(2));
        }
    }
}
