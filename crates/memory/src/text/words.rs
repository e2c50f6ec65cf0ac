//! Words: how a text becomes terms that can be compared, on the side of the memory and of the question alike.
//!
//! A change here changes what stored texts are worth: raise `VERSION` in `text/analysis.rs` with it.

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::text::hash::fnv32;
use crate::text::stop_words::is_stop_word;

/// A word as it was written, and in the form that is compared: lower case, without accents and possessive `'s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    pub(crate) written: &'a str,
    pub(crate) plain: String,
}

/// The words of a text: runs of letters and digits, with the apostrophes inside them. Scripts that are written without
/// spaces give a word for each character.
pub(crate) fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    Runs { text, at: 0 }
        .map(|written| Word { written, plain: plain(written) })
        .filter(|word| !word.plain.is_empty())
}

/// The terms of a text, one for each word that is not a stop word.
pub(crate) fn terms(text: &str) -> impl Iterator<Item = String> {
    words(text).filter_map(|word| term(&word))
}

/// The term of a word: its stem, unless it is a stop word. "May" is a month, "may" is a stop word.
pub(crate) fn term(word: &Word<'_>) -> Option<String> {
    (word.written == "May" || !is_stop_word(&word.plain)).then(|| stem(&word.plain))
}

/// The stem of a word in its plain form: Porter's second English stemmer (Snowball "English").
pub(crate) fn stem(word: &str) -> String {
    Stemmer::create(Algorithm::English).stem(word).into_owned()
}

/// The 32-bit FNV-1a hash by which terms are kept. Among 100,000 words about one pair shares a hash, and would then be
/// counted as one word.
pub(crate) fn term_id(stem: &str) -> u32 {
    fnv32(stem.bytes())
}

fn plain(written: &str) -> String {
    let mut word: String = if written.is_ascii() {
        written.to_ascii_lowercase()
    } else {
        written.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
    };
    if word.contains(['\'', '’']) {
        word = word.replace('’', "'");
        if let Some(owner) = word.strip_suffix("'s") {
            word.truncate(owner.len());
        }
        word.retain(|c| c != '\'');
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_lowercase()).len();
    if digits > 0
        && matches!(&word[digits..], "st" | "nd" | "rd" | "th")
        && word[..digits].bytes().all(|b| b.is_ascii_digit())
    {
        word.truncate(digits);
    }
    word
}

/// Finds the runs of characters that are words.
struct Runs<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Runs<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.at..];
        let start = self.at + rest.find(char::is_alphanumeric)?;
        let end = start + run_length(&self.text[start..]);
        self.at = end;
        Some(&self.text[start..end])
    }
}

/// The length in bytes of the word that a text begins with.
fn run_length(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    let mut end = 0;
    while let Some((at, c)) = characters.next() {
        let inner_apostrophe =
            matches!(c, '\'' | '’') && characters.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        if is_unspaced(c) {
            return if at == 0 { c.len_utf8() } else { at };
        }
        if !(c.is_alphanumeric() || is_combining_mark(c) || inner_apostrophe) {
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
        && c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Vec<String> {
        terms(text).collect()
    }

    #[test]
    fn reads_text_as_people_write_it() {
        assert_eq!(all("Ann's dogs don't like the 8th of May"), ["ann", "dog", "like", "8", "may"]);
        assert_eq!(all("She went home and bought a café’s cake"), ["went", "home", "bought", "cafe", "cake"]);
        assert_eq!(all("they may come"), ["come"]);
        assert_eq!(all("東京タワー is tall"), ["東", "京", "タ", "ワ", "ー", "tall"]);
        assert_eq!(all("rock'n'roll  - 'quoted' __x__"), ["rocknrol", "quot", "x"]);
        assert_eq!(all(" \u{301}… 👍🏽 "), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn any_text_has_words(text in "\\PC{0,80}") {
            for word in words(&text) {
                prop_assert!(text.contains(word.written));
                prop_assert!(!word.plain.is_empty());
            }
        }

        #[test]
        fn the_same_words_give_the_same_terms(text in "[a-zA-Z' ]{0,40}") {
            prop_assert_eq!(all(&text), all(&text.replace('\'', "’")));
        }
    }
}
