//! Names of producers in a query. A query mentions people by name where they call themselves "I". Messages that address a
//! person would match the name best, so the name is embedded as "I", and counts as a cue of its own.
//!
//! The words of the query are looked up in a map of names, so a search takes as long with many producers as with few.

use std::cell::LazyCell;
use std::cmp::Reverse;
use std::collections::HashMap;

use crate::search::query_text::QueryText;
use crate::search::table::Name;
use crate::text::letters::is_alphanumeric;
use crate::text::stop_words::is_stop_word;
use crate::text::tokens::Token;

/// Names that mean a role, not a person. A query that contains such a word means something else.
const ROLES: [&str; 8] = ["user", "assistant", "system", "agent", "human", "ai", "bot", "tool"];

/// A longer form of a name, in bytes, is not looked up.
const LONGEST_FORM: usize = 128;

/// How many symbols may be in front of the first word of a name: "@ann".
const MOST_SYMBOLS: usize = 2;

/// Roughly how much memory a form takes in addition to its text, in bytes.
const FORM_BYTES: usize = 96;

/// The producers of a space, by the names that a query may call them.
#[derive(Default)]
pub(crate) struct ProducerNames {
    /// The producers that have this form of a name, in lower case.
    forms: HashMap<Box<str>, Vec<Name>>,
    /// At least the number of pieces that follow in any form that begins with this word, in lower case.
    heads: HashMap<Box<str>, usize>,
    bytes: usize,
}

/// Where a text mentions a name: bytes from `start` to `end`, with the possessive ending.
pub(crate) struct Mention<'n> {
    start: usize,
    end: usize,
    possessive: bool,
    /// The name, as it is kept.
    form: &'n str,
}

impl ProducerNames {
    /// Adds a producer of this name.
    pub(crate) fn insert(&mut self, name: &str, producer: Name) {
        for form in forms(name) {
            let Some(symbols) = form.find(is_alphanumeric) else { continue };
            if form.len() > LONGEST_FORM || form[..symbols].chars().count() > MOST_SYMBOLS {
                continue;
            }
            let head = symbols + word_length(&form[symbols..]);
            let (following, longest) = (pieces(&form[head..]), self.heads.entry(lower(&form[..head])));
            let longest = longest.or_default();
            *longest = following.max(*longest);
            let form = lower(form);
            self.bytes += 2 * (FORM_BYTES + form.len());
            self.forms.entry(form).or_default().push(producer);
        }
    }

    /// Removes all producers but these. One pass over the names, however many producers go.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(Name) -> bool) {
        self.bytes = 0;
        self.forms.retain(|form, producers| {
            producers.retain(|&producer| is_kept(producer));
            self.bytes += 2 * (FORM_BYTES + form.len()) * producers.len();
            !producers.is_empty()
        });
    }

    /// About how much memory the names take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The producers that have one of these forms of a name, ascending.
    pub(crate) fn producers(&self, forms: &[Box<str>]) -> Vec<Name> {
        let mut producers: Vec<Name> =
            forms.iter().filter_map(|form| self.forms.get(form)).flatten().copied().collect();
        producers.sort_unstable();
        producers.dedup();
        producers
    }

    /// The mentions of all names as whole words, in any case.
    pub(crate) fn mentions(&self, query: &QueryText<'_>) -> Vec<Mention<'_>> {
        let mut mentions = Vec::new();
        if self.forms.is_empty() {
            return mentions;
        }
        // In scripts without spaces most words are inside a run of letters, where no name begins.
        let text = LazyCell::new(|| LowerCase::of(query.text));
        for word in query.tokens.iter().flat_map(word_starts) {
            let before = query.text[..word].char_indices().rev().take(MOST_SYMBOLS);
            let symbols = before.take_while(|(_, c)| !is_alphanumeric(*c)).map(|(at, _)| at);
            for start in std::iter::once(word).chain(symbols) {
                if !query.text[..start].chars().next_back().is_some_and(is_word_character) {
                    self.mentions_at(&text, start, word, &mut mentions);
                }
            }
        }
        mentions
    }

    /// Adds the mentions that begin at `start` of a text, whose first word begins at `word`.
    fn mentions_at<'n>(
        &'n self,
        text: &LowerCase<'_>,
        start: usize,
        word: usize,
        mentions: &mut Vec<Mention<'n>>,
    ) {
        let LowerCase { original, .. } = *text;
        let mut end = word + word_length(&original[word..]);
        let Some(&following) = self.heads.get(text.part(start, end)) else { return };
        for _ in 0..=following {
            let ending = possessive_ending(&original[end..]);
            let is_whole = !original[end + ending..].chars().next().is_some_and(is_word_character);
            if is_whole && let Some((form, _)) = self.forms.get_key_value(text.part(start, end)) {
                let (possessive, end) = (ending > 0, end + ending);
                mentions.push(Mention { start, end, possessive, form });
            }
            end += piece_length(&original[end..]);
        }
    }
}

/// The name that a query mentions first, the longest where several begin there. Several only where a possessive ending may
/// belong to the name.
pub(crate) fn first_named(mentions: &[Mention<'_>]) -> Vec<Box<str>> {
    let place = |mention: &Mention<'_>| (mention.start, Reverse(mention.end));
    let first = mentions.iter().map(place).min();
    let first = mentions.iter().filter(|mention| Some(place(mention)) == first);
    first.map(|mention| mention.form.into()).collect()
}

/// A query as the people that it mentions would put it: their names as "I", their possessives as "my".
pub(crate) fn in_first_person(query: &str, mut mentions: Vec<Mention<'_>>) -> String {
    mentions.sort_by_key(|mention| Reverse(mention.end - mention.start));
    let mut taken = vec![false; if mentions.is_empty() { 0 } else { query.len() }];
    mentions.retain(|mention| {
        let bytes = &mut taken[mention.start..mention.end];
        // A part of a longer name is not a name of its own.
        let is_free = !bytes.contains(&true);
        bytes.fill(true);
        is_free
    });
    mentions.sort_unstable_by_key(|mention| mention.start);
    let (mut text, mut end) = (String::with_capacity(query.len()), 0);
    for mention in mentions {
        text.push_str(&query[end..mention.start]);
        text.push_str(if mention.possessive { "my" } else { "I" });
        end = mention.end;
    }
    text.push_str(&query[end..]);
    text
}

/// A text in lower case, of which each part can be found by its place in the original.
struct LowerCase<'a> {
    original: &'a str,
    lower: String,
    /// Where each byte of the original is, and the end; empty where nothing has moved.
    places: Vec<usize>,
}

impl<'a> LowerCase<'a> {
    fn of(original: &'a str) -> Self {
        if original.is_ascii() {
            return Self { original, lower: original.to_ascii_lowercase(), places: vec![] };
        }
        let (mut lower, mut places) = (String::with_capacity(original.len()), vec![]);
        for c in original.chars() {
            places.resize(places.len() + c.len_utf8(), lower.len());
            lower.extend(c.to_lowercase());
        }
        places.push(lower.len());
        Self { original, lower, places }
    }

    fn part(&self, start: usize, end: usize) -> &str {
        let place = |byte: usize| self.places.get(byte).copied().unwrap_or(byte);
        &self.lower[place(start)..place(end)]
    }
}

/// How a producer may be named: by the whole name, or by the first.
fn forms(name: &str) -> Vec<&str> {
    let first = name.split_whitespace().next().unwrap_or(name);
    let mut forms = vec![name.trim(), first];
    forms.dedup();
    forms.retain(|form| {
        let plain = form.to_lowercase();
        form.chars().count() > 1 && !ROLES.contains(&plain.as_str()) && !is_stop_word(&plain)
    });
    forms
}

/// Each character in lower case, whatever follows it.
fn lower(text: &str) -> Box<str> {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Where words begin in a token: at its start, and behind each apostrophe, as in "d'Anna".
fn word_starts(token: &Token<'_>) -> impl Iterator<Item = usize> {
    let apostrophes = token.written.match_indices(['\'', '’']);
    std::iter::once(0).chain(apostrophes.map(|(at, found)| at + found.len())).map(|at| token.start + at)
}

/// The length in bytes of the word at the beginning of a text.
fn word_length(text: &str) -> usize {
    text.find(|c| !is_word_character(c)).unwrap_or(text.len())
}

/// The length in bytes of the piece at the beginning of a text: a word, or another character.
fn piece_length(text: &str) -> usize {
    word_length(text).max(text.chars().next().map_or(0, char::len_utf8))
}

/// How many pieces a text has.
fn pieces(mut text: &str) -> usize {
    let mut count = 0;
    while !text.is_empty() {
        text = &text[piece_length(text)..];
        count += 1;
    }
    count
}

/// The length in bytes of `'s` or `'` at the beginning of a text.
fn possessive_ending(text: &str) -> usize {
    let mut characters = text.chars();
    match characters.next() {
        Some(apostrophe @ ('\'' | '’')) => {
            let after = characters.next();
            let s = after.is_some_and(|c| matches!(c, 's' | 'S'));
            // An apostrophe before another word is a quotation mark.
            if !s && after.is_some_and(is_word_character) {
                0
            } else {
                apostrophe.len_utf8() + usize::from(s)
            }
        }
        _ => 0,
    }
}

fn is_word_character(c: char) -> bool {
    is_alphanumeric(c) || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names<'a>(producers: impl IntoIterator<Item = (Name, &'a str)>) -> ProducerNames {
        let mut names = ProducerNames::default();
        for (producer, name) in producers {
            names.insert(name, producer);
        }
        names
    }

    #[test]
    fn names_become_first_person() {
        let names = names([(1, "Caroline"), (2, "Mary Ann Smith"), (3, "user"), (4, "@bob")]);
        let rewritten = |query| in_first_person(query, names.mentions(&QueryText::read(query)));
        assert_eq!(rewritten("What is Caroline's plan?"), "What is my plan?");
        assert_eq!(rewritten("When did caroline and MARY go?"), "When did I and I go?");
        assert_eq!(rewritten("Did Mary Ann Smith call Carolines?"), "Did I call Carolines?");
        assert_eq!(rewritten("What does a user want?"), "What does a user want?");
        assert_eq!(rewritten("Caroline’s"), "my");
        assert_eq!(rewritten("l'amie d'Caroline"), "l'amie d'I");
        assert_eq!(rewritten("Ask @bob, not bob or x@bob."), "Ask I, not bob or x@bob.");
    }

    #[test]
    fn the_producer_named_first_counts() {
        let mut names = names([(3, "Ann"), (7, "Bob Stone"), (8, "Bob Hill"), (9, "I")]);
        let named = |names: &ProducerNames, query| {
            names.producers(&first_named(&names.mentions(&QueryText::read(query))))
        };
        assert_eq!(named(&names, "What did Ann tell Bob?"), [3]);
        assert_eq!(named(&names, "What did bob tell Ann?"), [7, 8]);
        assert_eq!(named(&names, "What did Bob Hill tell Ann?"), [8]);
        assert_eq!(named(&names, "What did Annie tell?"), Vec::<u32>::new());
        assert_eq!(named(&names, "I wonder"), Vec::<u32>::new());
        names.retain(|producer| producer != 8);
        assert_eq!(named(&names, "What did Bob Hill tell Ann?"), [7], "Bob Stone");
        names.retain(|_| false);
        assert_eq!((named(&names, "What did Bob tell Ann?"), names.bytes()), (vec![], 0));
    }

    /// The mentions of a name, found by comparing it with the text at every place: bytes from start to end.
    fn compared(text: &str, form: &str) -> Vec<(usize, usize)> {
        let places = || text.char_indices().map(|(at, _)| at).chain([text.len()]);
        let is_word = |c: Option<char>| c.is_some_and(is_word_character);
        let same = |start, end| lower(&text[start..end]) == lower(form);
        let begins_a_word = |word: usize| query_words(text).any(|start| start == word);
        let symbols = form.find(is_alphanumeric).unwrap_or_default();
        let found = places().flat_map(|start| places().map(move |end| (start, end)));
        found
            .filter(|&(start, end)| start < end && same(start, end) && begins_a_word(start + symbols))
            .filter(|&(start, _)| !is_word(text[..start].chars().next_back()))
            .map(|(start, end)| (start, end + possessive_ending(&text[end..])))
            .filter(|&(_, end)| !is_word(text[end..].chars().next()))
            .collect()
    }

    fn query_words(text: &str) -> impl Iterator<Item = usize> {
        let tokens = QueryText::read(text).tokens;
        tokens.iter().flat_map(word_starts).collect::<Vec<_>>().into_iter()
    }

    proptest! {
        #[test]
        fn a_name_is_rewritten_exactly_when_it_is_found(query in "\\PC{0,40}", name in "\\PC{0,8}") {
            let (query, names) = (QueryText::read(&query), names([(0, name.as_str())]));
            let is_named = !first_named(&names.mentions(&query)).is_empty();
            prop_assert_eq!(is_named, in_first_person(query.text, names.mentions(&query)) != query.text);
        }

        #[test]
        fn a_lookup_finds_what_a_comparison_finds(
            query in "((?i:ann|bob|[a@_東]|@ann lee|o'b)['’]?s?[ ,.@_]?){0,8}",
            name in "[@_]{0,2}(?i:ann|ann lee|bob|o'b|東東)( [A-Za-z]{1,3}[.']?){0,2}",
        ) {
            let (text, names) = (QueryText::read(&query), names([(0, name.as_str())]));
            let mut found: Vec<_> = names.mentions(&text).iter().map(|m| (m.start, m.end)).collect();
            let mut expected: Vec<_> = forms(&name).iter().flat_map(|form| compared(&query, form)).collect();
            for places in [&mut found, &mut expected] {
                places.sort_unstable();
                places.dedup();
            }
            prop_assert_eq!(found, expected);
        }
    }
}
