//! Names of producers in a query. A query mentions people by name where they call themselves "I". Messages that address a
//! person would match the name best, so the name is embedded as "I", and counts as a cue of its own.

use std::cmp::Reverse;

use crate::search::query_text::QueryText;
use crate::text::stop_words::is_stop_word;
use crate::text::tokens::Token;

/// Names that mean a role, not a person. A query that contains such a word means something else.
const ROLES: [&str; 8] = ["user", "assistant", "system", "agent", "human", "ai", "bot", "tool"];

/// The producer that the query names first, by the whole name or the first name. Several producers only where they share
/// that name.
pub(crate) fn first_named<'a>(
    query: &QueryText<'_>,
    producers: impl Iterator<Item = (u32, &'a str)>,
) -> Vec<u32> {
    let mentioned: Vec<_> = producers
        .filter_map(|(producer, name)| {
            let mentions = forms(name).into_iter().filter_map(|form| mentions(query, form).next());
            Some((mentions.map(|m| (m.start, Reverse(m.end))).min()?, producer))
        })
        .collect();
    let first = mentioned.iter().map(|(place, _)| *place).min();
    mentioned.into_iter().filter(|(place, _)| Some(*place) == first).map(|(_, producer)| producer).collect()
}

/// The query as the people that it names would put it: their names as "I", their possessives as "my".
pub(crate) fn in_first_person<'a>(query: &QueryText<'_>, producers: impl Iterator<Item = &'a str>) -> String {
    let mut forms: Vec<&str> = producers.flat_map(forms).collect();
    forms.sort_unstable_by_key(|form| (Reverse(form.len()), *form));
    forms.dedup();
    let mut found = Vec::<Mention>::new();
    for form in forms {
        for mention in mentions(query, form) {
            // A part of a longer name is not a name of its own.
            if found.iter().all(|other| mention.end <= other.start || other.end <= mention.start) {
                found.push(mention);
            }
        }
    }
    found.sort_unstable_by_key(|mention| mention.start);
    let (mut text, mut end) = (String::with_capacity(query.text.len()), 0);
    for mention in found {
        text.push_str(&query.text[end..mention.start]);
        text.push_str(if mention.possessive { "my" } else { "I" });
        end = mention.end;
    }
    text.push_str(&query.text[end..]);
    text
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

/// Where a name occurs in a text: bytes from `start` to `end`, with the possessive ending.
#[derive(Clone, Copy)]
struct Mention {
    start: usize,
    end: usize,
    possessive: bool,
}

/// The mentions of a name as whole words, in any case.
fn mentions<'a>(query: &'a QueryText<'_>, name: &'a str) -> impl Iterator<Item = Mention> + 'a {
    let text = query.text;
    // A name begins where a word begins, or with symbols in front of one: "@ann".
    let symbols = name.find(char::is_alphanumeric);
    let starts = query.tokens.iter().flat_map(word_starts);
    starts.filter_map(move |start| mention_at(text, start.checked_sub(symbols?)?, name))
}

/// Where words begin in a token: at its start, and behind each apostrophe, as in "d'Anna".
fn word_starts(token: &Token<'_>) -> impl Iterator<Item = usize> {
    let apostrophes = token.written.match_indices(['\'', '’']);
    std::iter::once(0).chain(apostrophes.map(|(at, found)| at + found.len())).map(|at| token.start + at)
}

/// The mention of a name that begins at this byte of a text, if there is one.
fn mention_at(text: &str, start: usize, name: &str) -> Option<Mention> {
    let end = match_at(text, start, name)?;
    if text[..start].chars().next_back().is_some_and(is_word_character) {
        return None;
    }
    let ending = possessive_ending(&text[end..]);
    let end = end + ending;
    let is_whole = !text[end..].chars().next().is_some_and(is_word_character);
    is_whole.then_some(Mention { start, end, possessive: ending > 0 })
}

/// Where a name ends that begins at this byte of a text, if it does.
fn match_at(text: &str, start: usize, name: &str) -> Option<usize> {
    let mut rest = text.get(start..)?.char_indices();
    let mut end = start;
    for wanted in name.chars() {
        let (offset, c) = rest.next()?;
        if c != wanted && !c.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
        end = start + offset + c.len_utf8();
    }
    Some(end)
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
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_become_first_person() {
        let rewritten = |query| {
            in_first_person(
                &QueryText::read(query),
                ["Caroline", "Mary Ann Smith", "user", "@bob"].into_iter(),
            )
        };
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
        let named = |query| {
            let producers = [(3, "Ann"), (7, "Bob Stone"), (8, "Bob Hill"), (9, "I")];
            first_named(&QueryText::read(query), producers.into_iter())
        };
        assert_eq!(named("What did Ann tell Bob?"), [3]);
        assert_eq!(named("What did bob tell Ann?"), [7, 8]);
        assert_eq!(named("What did Bob Hill tell Ann?"), [8]);
        assert_eq!(named("What did Annie tell?"), Vec::<u32>::new());
        assert_eq!(named("I wonder"), Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn a_name_is_rewritten_exactly_when_it_is_found(query in "\\PC{0,40}", name in "\\PC{0,8}") {
            let query = QueryText::read(&query);
            let rewritten = in_first_person(&query, [name.as_str()].into_iter());
            let named = first_named(&query, [(0, name.as_str())].into_iter());
            prop_assert_eq!(named.is_empty(), rewritten == query.text);
        }
    }
}
