//! How many tokens of a language model a text has: close enough for a budget, without the model's own vocabulary.

use std::borrow::Cow;

/// Estimates the tokens of a text: one for four bytes of ASCII and one for each other character. For English, German and
/// code this is within a quarter of what common vocabularies count; for other scripts it is rather too high.
pub(crate) fn estimate(text: &str) -> usize {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = text.chars().filter(|c| !c.is_ascii()).count();
    ascii.div_ceil(4) + other
}

/// The longest beginning of a text that has at most this many tokens.
pub(crate) fn cut(text: &str, tokens: usize) -> &str {
    let mut quarters = 0;
    let fits = |c: &char| {
        quarters += if c.is_ascii() { 1 } else { 4 };
        quarters <= tokens * 4
    };
    let end = text.chars().take_while(fits).map(char::len_utf8).sum();
    &text[..end]
}

/// The beginning of a text, with a mark where the rest was cut off. The mark is not counted.
pub(crate) fn shortened(text: &str, tokens: usize) -> Cow<'_, str> {
    let kept = cut(text, tokens);
    if kept.len() < text.len() { format!("{kept} […]").into() } else { kept.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn estimates_are_close_to_real_vocabularies() {
        // 9 tokens in OpenAI's o200k vocabulary.
        assert_eq!(estimate("The keys hang in the hall, my dear."), 9);
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("東京"), 2);
    }

    proptest! {
        #[test]
        fn a_cut_text_is_the_longest_beginning_that_fits(text in "[a-c ü東]{0,40}", tokens in 0_usize..12) {
            let kept = cut(&text, tokens);
            prop_assert!(text.starts_with(kept));
            prop_assert!(estimate(kept) <= tokens);
            prop_assert!(kept == text || estimate(kept) + 1 >= tokens);
        }
    }
}
