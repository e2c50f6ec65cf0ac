//! Names of producers in a question. A question speaks of people by name where they speak of themselves as "I": the
//! name would pull up messages that address the person, so it is embedded as "I" and counts as a hint of its own.

use std::cmp::Reverse;

use crate::text::stop_words::is_stop_word;

/// Names that mean a role, not a person; a question that holds them means something else.
const ROLES: [&str; 8] = ["user", "assistant", "system", "agent", "human", "ai", "bot", "tool"];

/// The producer whom the question names first, by the whole name or the first name. More than one only where the question
/// leaves open which of them it means.
pub(crate) fn first_named<'a>(question: &str, producers: impl Iterator<Item = (u32, &'a str)>) -> Vec<u32> {
    let mentions: Vec<_> = producers
        .filter_map(|(producer, name)| {
            let mentions = forms(name).into_iter().filter_map(|form| mention(question, 0, form));
            Some((mentions.map(|m| (m.start, Reverse(m.end))).min()?, producer))
        })
        .collect();
    let first = mentions.iter().map(|(place, _)| *place).min();
    mentions.into_iter().filter(|(place, _)| Some(*place) == first).map(|(_, producer)| producer).collect()
}

/// The question as the people it speaks of would put it: their names as "I", their possessives as "my".
pub(crate) fn as_told_by_themselves<'a>(question: &str, producers: impl Iterator<Item = &'a str>) -> String {
    let mut forms: Vec<&str> = producers.flat_map(forms).collect();
    forms.sort_unstable_by_key(|form| (Reverse(form.len()), *form));
    forms.dedup();
    let mut told = question.to_owned();
    for form in forms {
        let mut from = 0;
        while let Some(mention) = mention(&told, from, form) {
            let pronoun = if mention.possessive { "my" } else { "I" };
            told.replace_range(mention.start..mention.end, pronoun);
            from = mention.start + pronoun.len();
        }
    }
    told
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

/// Where a name stands in a text: bytes from `start` to `end`, the possessive ending included.
struct Mention {
    start: usize,
    end: usize,
    possessive: bool,
}

/// The first mention of a name as whole words, at or after byte `from`, in any case.
fn mention(text: &str, from: usize, name: &str) -> Option<Mention> {
    let mut before = text[..from].chars().next_back();
    for (offset, c) in text[from..].char_indices() {
        let start = from + offset;
        if !before.is_some_and(is_word_character)
            && let Some(end) = match_here(text, start, name)
        {
            let ending = possessive_ending(&text[end..]);
            let end = end + ending;
            if !text[end..].chars().next().is_some_and(is_word_character) {
                return Some(Mention { start, end, possessive: ending > 0 });
            }
        }
        before = Some(c);
    }
    None
}

/// Where the name ends if it stands here.
fn match_here(text: &str, start: usize, name: &str) -> Option<usize> {
    let mut rest = text[start..].char_indices();
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

/// The length in bytes of `'s` or `'` that a text begins with.
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
    fn people_speak_of_themselves_as_i() {
        let told =
            |question| as_told_by_themselves(question, ["Caroline", "Mary Ann Smith", "user"].into_iter());
        assert_eq!(told("What is Caroline's plan?"), "What is my plan?");
        assert_eq!(told("When did caroline and MARY go?"), "When did I and I go?");
        assert_eq!(told("Did Mary Ann Smith call Carolines?"), "Did I call Carolines?");
        assert_eq!(told("What does a user want?"), "What does a user want?");
        assert_eq!(told("Caroline’s"), "my");
    }

    #[test]
    fn the_first_one_named_comes_first() {
        let named = |question| {
            first_named(question, [(3, "Ann"), (7, "Bob Stone"), (8, "Bob Hill"), (9, "I")].into_iter())
        };
        assert_eq!(named("What did Ann tell Bob?"), [3]);
        assert_eq!(named("What did bob tell Ann?"), [7, 8]);
        assert_eq!(named("What did Bob Hill tell Ann?"), [8]);
        assert_eq!(named("What did Annie tell?"), Vec::<u32>::new());
        assert_eq!(named("I wonder"), Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn any_question_and_name_is_read(question in "\\PC{0,40}", name in "\\PC{0,8}") {
            let told = as_told_by_themselves(&question, [name.as_str()].into_iter());
            let named = first_named(&question, [(0, name.as_str())].into_iter());
            prop_assert_eq!(named.is_empty(), told == question || forms(&name).contains(&"my"));
        }
    }
}
