//! Answers a question with a sentence of the given context.

use std::collections::HashSet;

use crate::request::Message;
use crate::words::stems;

/// The answer when no sentence matches.
pub(crate) const NOTHING: &str = "I do not know.";

/// The sentence of the other messages that shares most words with the last question of the user; of several the last,
/// which is the newest. It is quoted verbatim.
pub(crate) fn answer(messages: &[Message]) -> String {
    let Some(asked) = messages.iter().rposition(|message| message.role == "user") else {
        return NOTHING.into();
    };
    let question: HashSet<String> = stems(&messages[asked].text).collect();
    let others = messages.iter().enumerate().filter(|(place, _)| *place != asked);
    let best = others
        .flat_map(|(_, message)| candidates(&message.text))
        .filter_map(|candidate| Some((candidate.shared(&question)?, candidate.sentence)))
        // The last of equals wins.
        .max_by_key(|(shared, _)| *shared);
    best.map_or_else(|| NOTHING.into(), |(_, sentence)| sentence)
}

/// A sentence that may be the answer.
#[derive(Debug, PartialEq)]
struct Candidate {
    /// The label before it in its line, such as the speaker's name. It helps to choose but is not an answer.
    label: String,
    sentence: String,
}

impl Candidate {
    /// How many words of the question it and its label share, if it shares any itself.
    fn shared(&self, question: &HashSet<String>) -> Option<usize> {
        let said: HashSet<String> = stems(&self.sentence).filter(|word| question.contains(word)).collect();
        let in_label = stems(&self.label).filter(|word| question.contains(word) && !said.contains(word));
        (!said.is_empty()).then(|| said.len() + in_label.collect::<HashSet<_>>().len())
    }
}

/// All sentences of a text. JSON strings in it are decoded.
fn candidates(text: &str) -> Vec<Candidate> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut label = String::new();
        let mut pieces = pieces(line).into_iter().peekable();
        while let Some(piece) = pieces.next() {
            // `"Ann" (since May):` names the speaker of the next sentence.
            let names_what_follows = match (&piece, pieces.peek()) {
                (Piece::Plain(plain), Some(Piece::Quoted(_))) => {
                    plain.trim_end().ends_with(':') || !says_something(plain)
                }
                (Piece::Quoted(_), Some(Piece::Plain(plain))) => plain.trim_end().ends_with(':'),
                _ => false,
            };
            let (Piece::Plain(said) | Piece::Quoted(said)) = piece;
            if names_what_follows {
                label.push_str(&said);
            } else {
                let sentences = said.lines().flat_map(sentences);
                found.extend(sentences.map(|sentence| Candidate { label: label.clone(), sentence }));
            }
        }
    }
    found
}

/// A part of a line.
#[derive(Debug, PartialEq)]
enum Piece {
    Plain(String),
    /// A JSON string, decoded.
    Quoted(String),
}

fn pieces(line: &str) -> Vec<Piece> {
    let (mut found, mut plain, mut rest) = (Vec::new(), String::new(), line);
    while let Some(start) = rest.find('"') {
        let mut reader = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<String>();
        if let Some(Ok(said)) = reader.next() {
            plain.push_str(&rest[..start]);
            if !plain.is_empty() {
                found.push(Piece::Plain(std::mem::take(&mut plain)));
            }
            found.push(Piece::Quoted(said));
            rest = &rest[start + reader.byte_offset()..];
        } else {
            plain.push_str(&rest[..=start]);
            rest = &rest[start + 1..];
        }
    }
    plain.push_str(rest);
    if !plain.trim().is_empty() {
        found.push(Piece::Plain(plain));
    }
    found
}

fn says_something(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

/// The sentences of a line, without questions: a question answers nothing, and one asked twice would answer itself.
fn sentences(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, end) in line.char_indices().filter(|(_, c)| matches!(c, '.' | '!' | '?' | '…')) {
        let end = at + end.len_utf8();
        if line[end..].chars().next().is_none_or(char::is_whitespace) {
            found.push(&line[start..end]);
            start = end;
        }
    }
    found.push(&line[start..]);
    let texts = found.into_iter().map(|text| text.trim().trim_start_matches(['-', '*', '>']).trim());
    texts.filter(|text| says_something(text) && !text.ends_with('?')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(role: &str, text: &str) -> Message {
        Message { role: role.into(), text: text.into() }
    }

    fn ask(context: &str, question: &str) -> String {
        answer(&[message("system", context), message("user", question)])
    }

    const MEMORIES: &str = "You have a memory. Use it where it helps.\n\n<facts>\n\
        - \"Ann\" (since 2026-05-08): \"city: Lisbon\"\n</facts>\n\n<memories>\n\
        - [2026-05-08 13:56] \"Ann\": \"I live in Oslo. I have two cats\"\n\
        - [2026-05-08 13:57] \"Bob\": \"I live in \\u003cParis\\u003e, near the \\\"Louvre\\\".\\nIt is loud.\"\n\
        - [2026-05-08 13:58] \"Ann\": \"I like tea\"\n\
        - [2026-05-08 13:59] \"Ann\": \"Where do I live?\"\n</memories>";

    #[test]
    fn quotes_the_sentence_that_fits_best() {
        assert_eq!(ask(MEMORIES, "Where does Ann live?"), "I live in Oslo.");
        assert_eq!(ask(MEMORIES, "Where does Bob live?"), "I live in <Paris>, near the \"Louvre\".");
        assert_eq!(ask(MEMORIES, "Which cats have I?"), "I have two cats");
        assert_eq!(ask(MEMORIES, "What is loud?"), "It is loud.");
        assert_eq!(ask(MEMORIES, "What city is it?"), "city: Lisbon");
    }

    #[test]
    fn among_equal_facts_the_newest_holds() {
        let turns = [
            message("user", "I live in Oslo."),
            message("assistant", "I see. You live in Oslo!"),
            message("user", "I live in Rome now"),
            message("user", "So where am I living?"),
        ];
        assert_eq!(answer(&turns), "I live in Rome now");
    }

    #[test]
    fn the_fake_model_knows_nothing_by_itself() {
        assert_eq!(ask(MEMORIES, "What is the capital of France?"), NOTHING);
        assert_eq!(ask("", "Ann?"), NOTHING);
        assert_eq!(ask("- \"Ann\": \"I like tea\"", "Who is Ann?"), NOTHING);
        assert_eq!(answer(&[message("user", "I live in Oslo. Where do I live?")]), NOTHING);
        assert_eq!(answer(&[message("system", "I live in Oslo.")]), NOTHING);
        assert_eq!(answer(&[]), NOTHING);
    }

    #[test]
    fn quotation_marks_that_are_no_json_are_text() {
        assert_eq!(ask("The 5\" nail is \\ rusty", "Which nail is rusty?"), "The 5\" nail is \\ rusty");
        assert_eq!(
            ask("{\"who\": \"Ann\", \"text\": \"The nail is rusty.\"}", "Which nail?"),
            "The nail is rusty."
        );
    }

    proptest! {
        #[test]
        fn answers_quote_the_context_for_any_question(
            said in "(\\PC|tea|oslo|[.?!\" \n\\\\:]){0,40}", question in "(tea|oslo|\\PC){0,4}",
        ) {
            let plain = said.replace('"', "'");
            let answered = ask(&plain, &question);
            prop_assert!(answered == NOTHING || plain.contains(&answered), "{answered}");
            let quoted = format!("- \"Ann\": {}", serde_json::Value::from(said.as_str()));
            let answered = ask(&quoted, &question);
            prop_assert!(answered == NOTHING || said.contains(&answered), "{answered}");
            ask(&said, &question);
        }
    }
}
