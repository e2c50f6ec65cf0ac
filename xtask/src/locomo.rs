//! Turns conversations of the LoCoMo benchmark into JSON lines that `memcloud import` reads, turn by turn as the scorer of
//! the benchmark stores them.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use jiff::civil::{self, DateTime};
use jiff::{SignedDuration, fmt::strtime};
use serde_json::{Map, Value, json};

/// The arguments of `cargo xtask locomo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file of the benchmark
    file: PathBuf,
    /// Each conversation becomes a group and a session of this name with its own name behind it
    #[arg(long, default_value = "locomo")]
    prefix: String,
}

/// Prints the lines.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let mut out = io::stdout().lock();
    for line in lines(&text, &args.prefix)? {
        writeln!(out, "{line}")?;
    }
    Ok(true)
}

/// All messages, each with its group and session: `<prefix>-<name>`.
fn lines(text: &str, prefix: &str) -> Result<Vec<Value>> {
    let items: Vec<Value> = serde_json::from_str(text).context("not a list of conversations")?;
    let mut lines = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let name = item["sample_id"].as_str().map_or_else(|| format!("conv-{number}"), str::to_owned);
        lines.extend(conversation(&item["conversation"], &format!("{prefix}-{name}")).context(name)?);
    }
    Ok(lines)
}

fn conversation(conversation: &Value, place: &str) -> Result<Vec<Value>> {
    let sessions = conversation.as_object().context("there is no 'conversation'")?;
    let speaker = |key: &str| conversation[key].as_str().with_context(|| format!("there is no '{key}'"));
    let speakers = [speaker("speaker_a")?, speaker("speaker_b")?];
    let mut lines = Vec::new();
    for number in session_numbers(sessions) {
        let began = date(conversation[format!("session_{number}_date_time")].as_str().unwrap_or_default());
        let turns =
            conversation[format!("session_{number}")].as_array().context("a session is not a list")?;
        let mut when = began;
        for turn in turns {
            lines.push(line(turn, number, when, speakers, place)?);
            // Turns have no time of their own: the scorer puts them a second apart.
            when = when.saturating_add(SignedDuration::from_secs(1));
        }
    }
    Ok(lines)
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

fn line(turn: &Value, session: u32, when: DateTime, speakers: [&str; 2], place: &str) -> Result<Value> {
    let text =
        |key: &str| turn[key].as_str().with_context(|| format!("a turn of session {session} has no '{key}'"));
    let speaker = text("speaker")?;
    let other = if speaker == speakers[0] { speakers[1] } else { speakers[0] };
    let timestamp = format!("{}+00:00", strtime::format("%Y-%m-%dT%H:%M:%S", when)?);
    let mut metadata = json!({
        "dia_id": text("dia_id")?,
        "timestamp": timestamp,
        "speaker": speaker,
        "conversation_session": session,
    });
    if let Some(caption) = turn["blip_caption"].as_str().filter(|caption| !caption.is_empty()) {
        metadata["blip_caption"] = caption.into();
    }
    Ok(json!({
        "group_id": place,
        "session_id": place,
        "user_id": speakers,
        "agent_id": speakers,
        "producer": speaker,
        "produced_for": other,
        "content": text("text")?,
        "timestamp": timestamp,
        "metadata": metadata,
    }))
}

/// LoCoMo writes `1:56 pm on 8 May, 2023`. A date in another form becomes the beginning of 2023.
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
        let lines = lines(&text.to_string(), "locomo").unwrap();
        let [first, second] = &lines[..] else { panic!("two turns") };
        assert_eq!(first["group_id"], "locomo-conv-1");
        assert_eq!(first["user_id"], json!(["Ann", "Bob"]));
        assert_eq!(first["metadata"]["timestamp"], "2023-05-08T13:56:00+00:00");
        assert_eq!(first["metadata"]["blip_caption"], "a dog");
        assert_eq!(first["produced_for"], "Ann");
        assert_eq!(second["timestamp"], "2023-01-01T00:00:00+00:00");
        assert_eq!(second["metadata"]["conversation_session"], 10);
    }

    #[test]
    fn names_what_is_missing() {
        assert!(lines("[{}]", "p").unwrap_err().to_string().contains("conv-0"));
        assert!(lines("{", "p").is_err());
    }
}
