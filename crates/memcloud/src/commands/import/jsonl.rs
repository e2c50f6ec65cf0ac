//! One message per line: a JSON object in the form of a new episode.

use std::collections::BTreeMap;

use memcloud_api::Object;
use memcloud_api::memmachine_v1::{Moment, NewEpisode, Session};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Content, SessionMessages};
use crate::commands::Place;

/// A line. It may also have the field names of the server's answers, so that listed messages can be imported.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(alias = "episode_content")]
    content: String,
    #[serde(alias = "producer_id")]
    producer: Option<String>,
    #[serde(alias = "produced_for_id")]
    produced_for: Option<String>,
    role: Option<String>,
    #[serde(alias = "type", alias = "kind")]
    episode_type: Option<String>,
    #[serde(alias = "user_metadata")]
    metadata: Option<Map<String, Value>>,
    #[serde(alias = "created_at")]
    timestamp: Option<Moment>,
    group_id: Option<String>,
    #[serde(alias = "session")]
    session_id: Option<String>,
    #[serde(default)]
    user_id: Vec<String>,
    #[serde(default)]
    agent_id: Vec<String>,
    // Fields of an answer that an import assigns again.
    #[serde(rename = "id")]
    _id: Option<Value>,
    #[serde(rename = "uuid")]
    _uuid: Option<Value>,
    #[serde(rename = "content_type")]
    _content_type: Option<Value>,
    #[serde(rename = "ingested_at")]
    _ingested_at: Option<Value>,
    #[serde(rename = "score")]
    _score: Option<Value>,
}

/// The messages of one session, and who takes part in it.
#[derive(Default)]
struct Gathered {
    users: Vec<String>,
    agents: Vec<String>,
    episodes: Vec<NewEpisode>,
}

/// Reads all lines. A line without a group or session gets those of `place`.
pub(super) fn read(text: &str, place: &Place) -> Content {
    let mut sessions: BTreeMap<(String, String), Gathered> = BTreeMap::new();
    let mut bad = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match parse(line) {
            Ok(line) => gather(line, place, &mut sessions),
            Err(why) => bad.push(format!("line {}: {why}", number + 1)),
        }
    }
    let conversations = sessions.into_iter().map(conversation).collect();
    Content { conversations, bad }
}

fn parse(line: &str) -> Result<Line, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| reason(&error))?;
    if line.content.trim().is_empty() {
        return Err("the content is empty".into());
    }
    if line.content.contains('\0') {
        return Err("the content holds a NUL character".into());
    }
    Ok(line)
}

/// The message of the parser without its place, which is always line 1.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

fn gather(line: Line, place: &Place, sessions: &mut BTreeMap<(String, String), Gathered>) {
    let group = line.group_id.unwrap_or_else(|| place.group().to_owned());
    let session = line.session_id.unwrap_or_else(|| place.session().to_owned());
    let gathered = sessions.entry((group, session)).or_default();
    for name in line.user_id {
        add(&mut gathered.users, &name);
    }
    for name in line.agent_id {
        add(&mut gathered.agents, &name);
    }
    let producer = line.producer.or(line.role.clone()).unwrap_or_else(|| "user".into());
    let produced_for = line.produced_for.unwrap_or_default();
    for name in [&producer, &produced_for].into_iter().filter(|name| !name.is_empty()) {
        if !gathered.agents.contains(name) {
            add(&mut gathered.users, name);
        }
    }
    gathered.episodes.push(NewEpisode {
        session: None,
        producer,
        produced_for,
        episode_content: line.content,
        episode_type: line.episode_type.unwrap_or_default(),
        metadata: Some(Object(line.metadata.unwrap_or_default())),
        timestamp: line.timestamp,
        role: line.role,
    });
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

fn conversation(((group, session), gathered): ((String, String), Gathered)) -> SessionMessages {
    let session = Session {
        group_id: group,
        session_id: session,
        user_id: Some(gathered.users),
        agent_id: Some(gathered.agents),
    };
    SessionMessages { session, episodes: gathered.episodes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { group: Some("g".into()), session: None }
    }

    #[test]
    fn gathers_by_session_and_keeps_order() {
        let text = concat!(
            "{\"content\":\"one\",\"producer\":\"ann\",\"timestamp\":\"2023-05-08T12:00:00\"}\n\n",
            "{\"episode_content\":\"two\",\"producer\":\"bob\",\"produced_for\":\"ann\",\"session_id\":\"other\"}\n",
            "{\"content\":\"three\",\"producer\":\"ann\",\"metadata\":{\"n\":1},\"timestamp\":1683547200}\n",
        );
        let noon = Some(Moment("2023-05-08T12:00:00Z".parse().unwrap()));
        let content = read(text, &place());
        assert!(content.bad.is_empty());
        let [first, second] = &content.conversations[..] else { panic!("two sessions") };
        assert_eq!(first.session.session_id, "default");
        assert_eq!(first.episodes[0].timestamp, noon);
        assert_eq!(first.episodes[1].episode_content, "three");
        assert_eq!(first.episodes[1].timestamp, noon);
        assert_eq!(second.session.user_id.as_deref().unwrap(), ["bob", "ann"]);
    }

    #[test]
    fn names_the_line_and_the_reason() {
        let text = "{\"content\":\"fine\"}\nnot json\n{\"content\":\" \"}\n{\"contents\":\"x\"}\n{\"content\":\"x\",\"timestamp\":\"soon\"}";
        let bad = read(text, &place()).bad;
        assert_eq!(bad.len(), 4, "{bad:?}");
        assert!(bad[0].starts_with("line 2: "));
        assert_eq!(bad[1], "line 3: the content is empty");
        assert!(bad[2].contains("contents"), "{}", bad[2]);
        assert!(bad[3].contains("soon"), "{}", bad[3]);
    }
}
