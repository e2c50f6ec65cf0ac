//! What people say about themselves, found by fixed patterns.

/// A statement of a speaker about themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) tag: &'static str,
    pub(crate) feature: String,
    pub(crate) value: String,
    /// Whether it says that the fact no longer holds.
    pub(crate) over: bool,
    /// Whether several such facts can hold at once.
    pub(crate) several: bool,
}

/// Each word matches itself or, with `|`, any of several. The words that follow are the value.
struct Pattern {
    words: &'static str,
    tag: &'static str,
    feature: Feature,
    several: bool,
}

enum Feature {
    Named(&'static str),
    /// The word of the pattern at this place.
    Word(usize),
}

const fn one(words: &'static str, tag: &'static str, feature: &'static str) -> Pattern {
    Pattern { words, tag, feature: Feature::Named(feature), several: false }
}

const fn several(words: &'static str, tag: &'static str, feature: &'static str) -> Pattern {
    Pattern { words, tag, feature: Feature::Named(feature), several: true }
}

const PATTERNS: [Pattern; 12] = [
    one("my name is", "Identity", "name"),
    one("i live in", "Home", "city"),
    one("i moved to", "Home", "city"),
    one("i work as a|an|the", "Work", "job"),
    one("i work as", "Work", "job"),
    one("i work at|for", "Work", "employer"),
    several("i am allergic to", "Health", "allergy"),
    several("i'm allergic to", "Health", "allergy"),
    one("i am a|an", "Work", "job"),
    one("i'm a|an", "Work", "job"),
    several("i like|love", "Likes", "likes"),
    several("i hate|dislike", "Dislikes", "dislikes"),
];

const PET: Pattern =
    Pattern { words: "my dog|cat is called", tag: "Pets", feature: Feature::Word(1), several: false };

/// Words that a pattern skips.
const FILLERS: [&str; 9] =
    ["also", "always", "currently", "have", "just", "now", "really", "recently", "still"];

/// The statements of a text, in order: at most one for each clause.
pub(crate) fn statements(text: &str) -> Vec<Statement> {
    let text = text.replace(['’', '‘'], "'");
    clauses(&text).into_iter().filter_map(statement).collect()
}

fn statement(clause: &str) -> Option<Statement> {
    let words = words(clause);
    if let Some(end) = matched(&words, &["forget", "that"]) {
        return stated(&words[end..], clause).map(|statement| Statement { over: true, ..statement });
    }
    if let Some(end) = matched(&words, &["i", "no", "longer"]) {
        // `I no longer like tea` takes back `I like tea`.
        let again = format!("i {}", &clause[words.get(end)?.1..]);
        let again_words = self::words(&again);
        return stated(&again_words, &again).map(|statement| Statement { over: true, ..statement });
    }
    stated(&words, clause)
}

fn stated(words: &[(&str, usize)], clause: &str) -> Option<Statement> {
    PATTERNS.iter().chain([&PET]).find_map(|pattern| {
        let wanted: Vec<&str> = pattern.words.split(' ').collect();
        let begin = begin(words, &wanted)?;
        let end = begin + length(&words[begin..], &wanted)?;
        let from = words.get(end)?.1;
        let value = clause[from..].trim().trim_matches(['"', '\'']).trim_end();
        let feature = match pattern.feature {
            Feature::Named(name) => name.to_owned(),
            Feature::Word(place) => words[begin..].get(place)?.0.to_lowercase(),
        };
        let (tag, several) = (pattern.tag, pattern.several);
        Some(Statement { tag, feature, value: value.to_owned(), over: false, several })
            .filter(|s| !s.value.is_empty())
    })
}

/// Where the words of a pattern begin.
fn begin(words: &[(&str, usize)], wanted: &[&str]) -> Option<usize> {
    (0..words.len()).find(|at| length(&words[*at..], wanted).is_some())
}

/// Where the words of a pattern end.
fn matched(words: &[(&str, usize)], wanted: &[&str]) -> Option<usize> {
    let begin = begin(words, wanted)?;
    Some(begin + length(&words[begin..], wanted)?)
}

/// How many words the pattern covers, if it matches here.
fn length(words: &[(&str, usize)], wanted: &[&str]) -> Option<usize> {
    let mut at = 0;
    for (place, choices) in wanted.iter().enumerate() {
        let is = |word: &str| choices.split('|').any(|choice| word.eq_ignore_ascii_case(choice));
        while place > 0
            && !is(words.get(at)?.0)
            && FILLERS.iter().any(|f| words[at].0.eq_ignore_ascii_case(f))
        {
            at += 1;
        }
        if !is(words.get(at)?.0) {
            return None;
        }
        at += 1;
    }
    Some(at)
}

/// Words and where they begin. An apostrophe is part of its word.
fn words(clause: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in clause.char_indices().chain([(clause.len(), ' ')]) {
        match start {
            None if !c.is_whitespace() => start = Some(at),
            Some(from) if c.is_whitespace() => {
                found.push((clause[from..at].trim_matches(['"', ':', '(', ')']), from));
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// The clauses of a text, without questions, which state nothing.
fn clauses(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().next();
        let ends = match c {
            '\n' | ';' => true,
            '.' | '!' | '?' | ',' | '…' => next.is_none_or(char::is_whitespace),
            ' ' => another_begins(&text[at..]),
            _ => false,
        };
        if ends {
            if c != '?' {
                found.push(&text[start..at]);
            }
            start = at + c.len_utf8();
        }
    }
    found.push(&text[start..]);
    found
}

/// Whether `and I`, `but my` or the like starts here: the next words are about something else.
fn another_begins(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let joins = words
        .next()
        .is_some_and(|word| ["and", "but", "because"].iter().any(|j| word.eq_ignore_ascii_case(j)));
    joins && words.next().is_some_and(|word| ["i", "i'm", "my"].iter().any(|s| word.eq_ignore_ascii_case(s)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(text: &str) -> Vec<String> {
        let line =
            |s: Statement| format!("{}{}/{}={}", if s.over { "-" } else { "" }, s.tag, s.feature, s.value);
        statements(text).into_iter().map(line).collect()
    }

    #[test]
    fn every_pattern_is_found() {
        for (text, expected) in [
            ("Hi, my name is Ann Lee.", "Identity/name=Ann Lee"),
            ("I LIVE IN Oslo, near the sea", "Home/city=Oslo"),
            ("I have just moved to São Paulo!", "Home/city=São Paulo"),
            ("I work as a nurse", "Work/job=nurse"),
            ("I now work as chief of staff", "Work/job=chief of staff"),
            ("I am an engineer.", "Work/job=engineer"),
            ("I’m a baker", "Work/job=baker"),
            ("I work at Acme Inc", "Work/employer=Acme Inc"),
            ("I work for 3.5 companies.", "Work/employer=3.5 companies"),
            ("I really love tea and coffee", "Likes/likes=tea and coffee"),
            ("I dislike rain", "Dislikes/dislikes=rain"),
            ("My dog is called Rex", "Pets/dog=Rex"),
            ("my cat is called \"Tom\"", "Pets/cat=Tom"),
            ("I am allergic to nuts", "Health/allergy=nuts"),
            ("I'm allergic to nuts", "Health/allergy=nuts"),
            ("Please forget that I like tea.", "-Likes/likes=tea"),
            ("I no longer like tea", "-Likes/likes=tea"),
        ] {
            assert_eq!(said(text), [expected], "{text}");
        }
    }

    #[test]
    fn clauses_are_read_one_by_one() {
        let text = "I live in Oslo and I like tea. But my dog is called Rex; I hate rain\nI work at Acme";
        let expected = [
            "Home/city=Oslo",
            "Likes/likes=tea",
            "Pets/dog=Rex",
            "Dislikes/dislikes=rain",
            "Work/employer=Acme",
        ];
        assert_eq!(said(text), expected);
    }

    #[test]
    fn empty_statements_are_left_out() {
        for text in [
            "",
            "Do you know where I live in Oslo?",
            "I like",
            "I do not like tea",
            "She lives in Oslo",
            "é’",
        ] {
            assert!(said(text).is_empty(), "{text}: {:?}", said(text));
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(
            text in "(I |’|like |my |dog |is |called |forget that |no longer |and |[.,;?!\n ]|\\PC){0,30}",
        ) {
            for statement in statements(&text) {
                prop_assert!(text.replace(['’', '‘'], "'").contains(&statement.value));
            }
        }
    }
}
