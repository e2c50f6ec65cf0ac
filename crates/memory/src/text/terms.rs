//! Terms: the form in which words of a memory and of a query are compared.
//!
//! A change here changes what stored analyses are worth: raise `VERSION` in `text/analysis.rs` with it.

use std::borrow::Cow;
use std::sync::LazyLock;

use frostem::{Algorithm, Stemmer};

use crate::text::hash::fnv32;
use crate::text::stop_words::is_stop_word;
use crate::text::tokens::{Token, tokens};

/// A longer word, in bytes, is its own stem. The stemmer copies a word for each letter that it replaces, so its time grows
/// with the square of the length, and no English word is this long.
const LONGEST_STEMMED: usize = 64;

/// The hashes of the terms of a text: one for each token that is not a stop word.
pub(crate) fn term_ids(text: &str) -> impl Iterator<Item = u32> {
    tokens(text).filter_map(|token| term(&token).map(|term| term_id(&term)))
}

/// The term of a token: its stem, unless it is a stop word. "May" is a month, "may" is a stop word.
pub(crate) fn term<'t>(token: &'t Token<'_>) -> Option<Cow<'t, str>> {
    (token.written == "May" || !is_stop_word(&token.plain)).then(|| stem(&token.plain))
}

/// The stem of a word in its plain form: Snowball's English stemmer, which began as Porter's second.
pub(crate) fn stem(plain: &str) -> Cow<'_, str> {
    static ENGLISH: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::new(Algorithm::English));
    if plain.len() > LONGEST_STEMMED { plain.into() } else { ENGLISH.stem(plain) }
}

/// The hash under which a term is stored. Among 100,000 terms about one pair shares a hash and counts as one term.
pub(crate) fn term_id(stem: &str) -> u32 {
    fnv32(stem.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Vec<String> {
        tokens(text).filter_map(|token| term(&token).map(Cow::into_owned)).collect()
    }

    #[test]
    fn terms_are_stems_without_stop_words() {
        assert_eq!(all("Ann's dogs don't like the 8th of May"), ["ann", "dog", "like", "8", "may"]);
        assert_eq!(all("She went home and bought a café’s cake"), ["went", "home", "bought", "cafe", "cake"]);
        assert_eq!(all("they may come"), ["come"]);
        assert_eq!(all("東京タワー is tall"), ["東", "京", "タ", "ワ", "ー", "tall"]);
        assert_eq!(all("rock'n'roll  - 'quoted' __x__"), ["rocknrol", "quot", "x"]);
        assert_eq!(all(" \u{301}… 👍🏽 "), Vec::<String>::new());
        let long = "kettle".repeat(10);
        assert_eq!(all(&format!("{long}logs")), [format!("{long}log")]);
        assert_eq!(all(&format!("{long}slogs")), [format!("{long}slogs")], "beyond 64 bytes");
    }

    proptest! {
        #[test]
        fn both_apostrophes_give_the_same_terms(text in "[a-zA-Z' ]{0,40}") {
            prop_assert_eq!(all(&text), all(&text.replace('\'', "’")));
        }
    }
}
