//! Conversations of the LoCoMo benchmark, stored turn by turn as its scorer stores them.

use jiff::civil::{self, DateTime};
use jiff::{SignedDuration, fmt::strtime};
use serde_json::{Map, Value, json};

use super::{Content, Conversation};

/// The groups of conversations when none is named.
const PREFIX: &str = "locomo";

/// Reads all conversations, each into a group and a session of its own: `<prefix>-<name>`.
pub(super) fn read(text: &str, prefix: Option<&str>) -> Result<Content, String> {
    let items: Vec<Value> =
        serde_json::from_str(text).map_err(|error| format!("not a list of conversations: {error}"))?;
    let prefix = prefix.unwrap_or(PREFIX);
    let read = items.iter().enumerate().map(|(number, item)| {
        let name = item["sample_id"].as_str().map_or_else(|| format!("conv-{number}"), str::to_owned);
        conversation(&item["conversation"], &format!("{prefix}-{name}"))
            .map_err(|why| format!("{name}: {why}"))
    });
    Ok(Content { conversations: read.collect::<Result<_, _>>()?, bad: Vec::new() })
}

fn conversation(conversation: &Value, place: &str) -> Result<Conversation, String> {
    let sessions = conversation.as_object().ok_or("there is no 'conversation'")?;
    let speaker = |key: &str| conversation[key].as_str().ok_or_else(|| format!("there is no '{key}'"));
    let speakers = [speaker("speaker_a")?, speaker("speaker_b")?];
    let mut episodes = Vec::new();
    for number in session_numbers(sessions) {
        let began = date(conversation[format!("session_{number}_date_time")].as_str().unwrap_or_default());
        let turns = conversation[format!("session_{number}")].as_array().ok_or("a session is not a list")?;
        let mut when = began;
        for turn in turns {
            episodes.push(episode(turn, number, when, speakers)?);
            // Turns have no time of their own: the scorer puts them a second apart.
            when = when.saturating_add(SignedDuration::from_secs(1));
        }
    }
    let session = json!({"group_id": place, "session_id": place, "agent_id": speakers, "user_id": speakers});
    Ok(Conversation { session, episodes })
}

/// The numbers N of the keys `session_N`, in order.
fn session_numbers(keys: &Map<String, Value>) -> Vec<u32> {
    let mut numbers: Vec<u32> = keys
        .keys()
        .filter_map(|key| key.strip_prefix("session_").and_then(|number| number.parse().ok()))
        .collect();
    numbers.sort_unstable();
    numbers
}

fn episode(turn: &Value, session: u32, when: DateTime, speakers: [&str; 2]) -> Result<Value, String> {
    let text =
        |key: &str| turn[key].as_str().ok_or_else(|| format!("a turn of session {session} has no '{key}'"));
    let speaker = text("speaker")?;
    let other = if speaker == speakers[0] { speakers[1] } else { speakers[0] };
    let mut metadata = json!({
        "dia_id": text("dia_id")?,
        "timestamp": format!("{}+00:00", strtime::format("%Y-%m-%dT%H:%M:%S", when).unwrap_or_default()),
        "speaker": speaker,
        "conversation_session": session,
    });
    if let Some(caption) = turn["blip_caption"].as_str().filter(|caption| !caption.is_empty()) {
        metadata["blip_caption"] = caption.into();
    }
    Ok(json!({
        "producer": speaker,
        "produced_for": other,
        "episode_content": text("text")?,
        "episode_type": "message",
        "metadata": metadata,
    }))
}

/// LoCoMo writes `1:56 pm on 8 May, 2023`; what is not so written is the beginning of that year.
fn date(text: &str) -> DateTime {
    DateTime::strptime("%I:%M %p on %d %B, %Y", text.trim()).unwrap_or(civil::date(2023, 1, 1).at(0, 0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_conversation_as_the_scorer_does() {
        let text = json!([{"sample_id": "conv-1", "qa": [], "conversation": {
            "speaker_a": "Ann", "speaker_b": "Bob",
            "session_2_date_time": "1:56 pm on 8 May, 2023",
            "session_2": [{"speaker": "Bob", "dia_id": "D2:1", "text": "Look!", "blip_caption": "a dog"}],
            "session_10": [{"speaker": "Ann", "dia_id": "D10:1", "text": "Hi"}],
        }}]);
        let content = read(&text.to_string(), None).unwrap();
        let [conversation] = &content.conversations[..] else { panic!("one conversation") };
        assert_eq!(conversation.session["group_id"], "locomo-conv-1");
        assert_eq!(conversation.session["user_id"], json!(["Ann", "Bob"]));
        let [first, second] = &conversation.episodes[..] else { panic!("two turns") };
        assert_eq!(first["metadata"]["timestamp"], "2023-05-08T13:56:00+00:00");
        assert_eq!(first["metadata"]["blip_caption"], "a dog");
        assert_eq!(first["produced_for"], "Ann");
        assert_eq!(second["metadata"]["timestamp"], "2023-01-01T00:00:00+00:00");
        assert_eq!(second["metadata"]["conversation_session"], 10);
    }

    #[test]
    fn says_what_is_missing() {
        assert!(read("[{}]", None).err().unwrap().contains("conv-0"));
        assert!(read("{", None).is_err());
    }
}
