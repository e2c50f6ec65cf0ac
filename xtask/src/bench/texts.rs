//! Generated messages to measure with: about 25 tokens each, all different.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

const WHO: [&str; 12] = [
    "Ann",
    "Bob",
    "my sister",
    "our neighbor",
    "the team",
    "Clara",
    "an old friend",
    "Dana",
    "my uncle",
    "Emil",
    "the new colleague",
    "Farah",
];
const DID: [&str; 16] = [
    "moved to",
    "came back from",
    "wants to visit",
    "wrote a long letter about",
    "bought a small house near",
    "painted a picture of",
    "lost a red umbrella in",
    "started a garden in",
    "played a concert in",
    "read a book about",
    "met the mayor of",
    "took the night train to",
    "opened a bakery in",
    "learned to sail in",
    "found a stray dog in",
    "gave us a story from",
];
const PLACE: [&str; 20] = [
    "Lisbon",
    "Oslo",
    "Kyoto",
    "Quito",
    "Dakar",
    "Hobart",
    "Riga",
    "Tunis",
    "Perth",
    "Turin",
    "Bergen",
    "Cork",
    "Fez",
    "Leeds",
    "Nantes",
    "Porto",
    "Seville",
    "Tampere",
    "Utrecht",
    "Valparaiso",
];
const WHEN: [&str; 12] = [
    "last spring",
    "in early May",
    "two weeks ago",
    "on a rainy Sunday",
    "right after the exam",
    "before the wedding",
    "during the holidays",
    "in the middle of the night",
    "on the first day of school",
    "when the snow melted",
    "three years ago",
    "at the end of summer",
];
const THEN: [&str; 14] = [
    "and it was much harder than anyone had thought",
    "and now the whole family talks about it",
    "but the plan changed at the last minute",
    "so we celebrated with a chocolate cake",
    "and the photographs turned out beautifully",
    "although the weather was terrible",
    "and I still keep the ticket on my desk",
    "which made everyone at work a little jealous",
    "and the doctor said it would help",
    "because the old flat had become too loud",
    "and the cat did not like it at all",
    "so there will be a party next month",
    "and it cost less than a pair of shoes",
    "but no one remembers who paid for it",
];

/// The message with this number.
pub(crate) fn message(number: usize) -> String {
    let pick = |words: &[&'static str], stride: usize| {
        words[(number.wrapping_mul(stride) / 7 + number) % words.len()]
    };
    format!(
        "{} {} {} {}, {} (note {number}).",
        pick(&WHO, 5),
        pick(&DID, 11),
        pick(&PLACE, 13),
        pick(&WHEN, 17),
        pick(&THEN, 19)
    )
}

/// The question with this number, about as long as questions of people are.
pub(crate) fn question(number: usize) -> String {
    let pick = |words: &[&'static str], stride: usize| {
        words[(number.wrapping_mul(stride) / 5 + number) % words.len()]
    };
    format!(
        "What did {} say about {} {}, and how did it end?",
        pick(&WHO, 3),
        pick(&PLACE, 7),
        pick(&WHEN, 11)
    )
}

/// The turns of conversations in LoCoMo format, as `speaker: text`.
pub(crate) fn turns(file: &Path) -> Result<Vec<String>> {
    let read = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let items: Vec<Value> =
        serde_json::from_str(&read).with_context(|| format!("{} is not LoCoMo", file.display()))?;
    let sessions = items.iter().flat_map(|item| item["conversation"].as_object().into_iter().flatten());
    let turns = sessions.filter_map(|(_, session)| session.as_array()).flatten();
    Ok(turns
        .filter_map(|turn| Some(format!("{}: {}", turn["speaker"].as_str()?, turn["text"].as_str()?)))
        .collect())
}
