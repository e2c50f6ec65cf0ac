//! How many tokens a text has, near enough for a budget and without a model's own vocabulary.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// What a message costs beside its text: its role and the marks around it. The count that `OpenAI` gives for its models.
const PER_MESSAGE: usize = 4;
/// What an image is taken for: models charge between 85 and some 1,600.
const PER_IMAGE: usize = 1_000;

/// About how many tokens a text has: one for four bytes of ASCII and one for each other character. For English, German
/// or code that is within a quarter of what common vocabularies count; for other scripts it is rather too many.
pub(crate) fn estimate(text: &str) -> usize {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = text.chars().filter(|c| !c.is_ascii()).count();
    ascii.div_ceil(4) + other
}

/// About how many tokens a request has: its messages, and what else the model reads of it.
pub(crate) fn of_request(request: &Map<String, Value>) -> usize {
    let messages = request.get("messages").and_then(Value::as_array);
    let messages: usize = messages.into_iter().flatten().map(of_message).sum();
    let read = ["tools", "functions", "response_format"].iter().filter_map(|field| request.get(*field));
    messages.saturating_add(read.map(|value| estimate(&value.to_string())).sum())
}

fn of_message(message: &Value) -> usize {
    let calls = message.get("tool_calls").map_or(0, |calls| estimate(&calls.to_string()));
    PER_MESSAGE + of_content(&message["content"]) + calls
}

fn of_content(content: &Value) -> usize {
    match content {
        Value::String(text) => estimate(text),
        Value::Array(parts) => {
            let of_part = |part: &Value| part["text"].as_str().map_or(PER_IMAGE, estimate);
            parts.iter().map(of_part).sum()
        }
        _ => 0,
    }
}

/// The beginning of a text that has at most so many tokens.
pub(crate) fn cut(text: &str, tokens: usize) -> &str {
    if estimate(text) <= tokens {
        return text;
    }
    let mut quarters = 0;
    let fits = |c: &char| {
        quarters += if c.is_ascii() { 1 } else { 4 };
        quarters <= tokens * 4
    };
    let end = text.chars().take_while(fits).map(char::len_utf8).sum();
    &text[..end]
}

/// A text of at most so many tokens, with a mark where the rest was cut off.
pub(crate) fn shortened(text: &str, tokens: usize) -> Cow<'_, str> {
    let kept = cut(text, tokens);
    if kept.len() < text.len() { format!("{kept} […]").into() } else { kept.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_near_what_vocabularies_count() {
        // 9 tokens in OpenAI's o200k vocabulary.
        assert_eq!(estimate("The keys hang in the hall, my dear."), 9);
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("東京"), 2);
    }

    proptest! {
        #[test]
        fn a_cut_text_is_a_beginning_that_fits(text in "[a-c ü東]{0,40}", tokens in 0_usize..12) {
            let kept = cut(&text, tokens);
            prop_assert!(text.starts_with(kept));
            prop_assert!(estimate(kept) <= tokens);
            prop_assert!(kept == text || estimate(kept) + 1 >= tokens);
        }
    }
}
