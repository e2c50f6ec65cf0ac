//! Tokens: the words of a text, each with its place in the text.

use std::borrow::Cow;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use crate::text::letters::is_alphanumeric;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// Where it begins in the text, in bytes.
    pub(crate) start: usize,
    /// As it is written.
    pub(crate) written: &'a str,
    /// The form that is compared: lower case, without accents, possessive `'s` or the ending of an ordinal.
    pub(crate) plain: Cow<'a, str>,
}

impl Token<'_> {
    /// Where it ends in the text, in bytes.
    pub(crate) fn end(&self) -> usize {
        self.start + self.written.len()
    }
}

/// Splits a text into tokens: runs of letters and digits, with the apostrophes inside them. In scripts that are written
/// without spaces, each character is a token.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    Runs { text, at: 0 }
        .map(|(start, written)| Token { start, written, plain: plain(written) })
        .filter(|token| !token.plain.is_empty())
}

/// Most words already are in that form, and are not copied.
fn plain(written: &str) -> Cow<'_, str> {
    let Some((changed, _)) = written.char_indices().find(|(_, c)| !is_plain(*c)) else {
        return without_ordinal(written).into();
    };
    let (same, rest) = written.split_at(changed);
    let mut word = String::with_capacity(written.len());
    word.push_str(same);
    rest.chars().for_each(|c| decompose_compatible(c, |part| push_plain(part, &mut word)));
    if let Some(owner) = word.strip_suffix("'s") {
        word.truncate(owner.len());
    }
    if word.contains('\'') {
        word.retain(|c| c != '\'');
    }
    word.truncate(without_ordinal(&word).len());
    word.into()
}

/// Whether a character stays as it is in the form that is compared.
fn is_plain(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    let mut is_whole = true;
    decompose_compatible(c, |part| is_whole &= part == c);
    is_whole && c != '’' && !is_combining_mark(c) && c.to_lowercase().eq([c])
}

/// Adds a part of a character in the form that is compared: in lower case, and without accents, whose order does not matter
/// then.
fn push_plain(part: char, word: &mut String) {
    match part {
        '’' => word.push('\''),
        _ if part.is_ascii() => word.push(part.to_ascii_lowercase()),
        _ if is_combining_mark(part) => {}
        _ => word.extend(part.to_lowercase()),
    }
}

/// A word without the ending of an ordinal: `8th` becomes `8`.
fn without_ordinal(word: &str) -> &str {
    let (number, ending) = word.split_at(word.trim_end_matches(|c: char| c.is_ascii_lowercase()).len());
    let is_ordinal = matches!(ending, "st" | "nd" | "rd" | "th")
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit());
    if is_ordinal { number } else { word }
}

/// Finds the runs of characters that are words, each with its start.
struct Runs<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Runs<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text[self.at..];
        let start = self.at + rest.find(is_alphanumeric)?;
        let end = start + run_length(&self.text[start..]);
        self.at = end;
        Some((start, &self.text[start..end]))
    }
}

/// The length in bytes of the word at the beginning of a text.
fn run_length(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    let mut end = 0;
    while let Some((at, c)) = characters.next() {
        let inner_apostrophe =
            matches!(c, '\'' | '’') && characters.peek().is_some_and(|(_, next)| is_alphanumeric(*next));
        if is_unspaced(c) {
            return if at == 0 { c.len_utf8() } else { at };
        }
        if !(is_alphanumeric(c) || is_combining_mark(c) || inner_apostrophe) {
            break;
        }
        end = at + c.len_utf8();
    }
    end
}

/// Whether the character belongs to a script that is written without spaces: Han, kana, Thai, Lao, Khmer, Burmese.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
        && is_alphanumeric(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    #[test]
    fn a_token_knows_its_place_and_its_plain_form() {
        let found: Vec<_> = tokens("Ann’s 8th, café!").map(|t| (t.start, t.end(), t.plain)).collect();
        assert_eq!(found, [(0, 7, "ann".into()), (8, 11, "8".into()), (13, 18, "cafe".into())]);
    }

    proptest! {
        #[test]
        fn tokens_are_ordered_slices_of_the_text(text in "\\PC{0,80}") {
            let mut end = 0;
            for token in tokens(&text) {
                prop_assert!(token.start >= end);
                prop_assert_eq!(&text[token.start..token.end()], token.written);
                prop_assert!(!token.plain.is_empty());
                end = token.end();
            }
        }

        #[test]
        fn a_plain_form_is_nfkd_without_marks_in_lower_case(word in "[\\PC\u{300}-\u{36f}東がｶำกﷺÅİßa-zA-Z0-9]{1,12}") {
            let parts = word.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
            let expected: String = parts.collect();
            let is_simple = !expected.contains(['\'', '’']) && without_ordinal(&expected) == expected;
            prop_assert!(!is_simple || plain(&word) == expected, "{:?}", plain(&word));
        }
    }
}
