//! The words to avoid: the table in STYLE.md, looked up in every source file and document.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::sources::{SourceFile, with_extensions};
use crate::steps::root;

/// The page with the table.
const STYLE: &str = "STYLE.md";
/// The heading above the table.
const HEADING: &str = "## Words to avoid";
/// Where a word may stay, and why.
const ALLOWED: &str = "xtask/words-allowed.toml";

/// The kinds of files that people write and read.
const READ: &[&str] = &["rs", "md", "py", "ts", "sh", "sql", "cypher", "toml", "yml"];

/// Every use of a word to avoid.
pub(super) fn violations() -> Result<Vec<String>> {
    let root = root();
    let entries = table(&fs::read_to_string(root.join(STYLE))?)?;
    let allowed = fs::read_to_string(root.join(ALLOWED)).with_context(|| format!("cannot read {ALLOWED}"))?;
    let allowed: Allowed = toml::from_str(&allowed).with_context(|| format!("{ALLOWED} is wrong"))?;
    let sources = with_extensions(READ)?;
    Ok(sources.iter().flat_map(|source| uses(source, &entries, &allowed)).collect())
}

/// A row of the table.
struct Entry {
    /// The words to avoid, each as a phrase of lower-case words.
    avoid: Vec<Vec<String>>,
    /// What to write instead.
    instead: String,
}

/// The rows of the table in STYLE.md.
fn table(style: &str) -> Result<Vec<Entry>> {
    let (_, section) = style.split_once(HEADING).with_context(|| format!("{STYLE} has no '{HEADING}'"))?;
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let entries: Vec<Entry> = rows.skip(2).filter_map(row).collect();
    ensure!(!entries.is_empty(), "the table below '{HEADING}' in {STYLE} is empty");
    Ok(entries)
}

fn row(line: &str) -> Option<Entry> {
    let (avoid, instead) = line.trim_matches('|').split_once('|')?;
    let phrase = |phrase: &str| phrase.split_whitespace().map(str::to_lowercase).collect();
    Some(Entry { avoid: avoid.split(',').map(phrase).collect(), instead: instead.trim().to_owned() })
}

#[derive(Deserialize)]
struct Allowed {
    allow: Vec<Exception>,
}

/// A place where a word may stay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    /// A file, or a folder with everything in it, from the root of the workspace.
    path: String,
    /// The phrase that may stay there; all of them when it is missing.
    word: Option<String>,
    /// Why it must stay.
    reason: String,
}

impl Exception {
    fn covers(&self, path: &Path, phrase: &str) -> bool {
        !self.reason.is_empty()
            && path.starts_with(&self.path)
            && self.word.as_ref().is_none_or(|word| word == phrase)
    }
}

/// Every use of a word to avoid in one file, with the line and what to write instead.
fn uses(source: &SourceFile, entries: &[Entry], allowed: &Allowed) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let words = words(line);
        for (entry, phrase) in
            entries.iter().flat_map(|entry| entry.avoid.iter().map(move |avoid| (entry, avoid)))
        {
            let shown = phrase.join(" ");
            let times = (0..words.len()).filter(|at| begins_with(&words[*at..], phrase)).count();
            if times == 0 || allowed.allow.iter().any(|exception| exception.covers(&source.path, &shown)) {
                continue;
            }
            let use_ =
                format!("{}:{}: '{shown}': write {}", source.path.display(), number + 1, entry.instead);
            found.extend(std::iter::repeat_n(use_, times));
        }
    }
    found
}

/// A word of a line, in lower case.
struct Word {
    text: String,
    /// Whether exactly one space is between it and the word before.
    after_space: bool,
    /// Whether it is a part of a longer name.
    in_name: bool,
}

/// The words of a line. Names are taken apart, so `toldInWords` and `told_in_words` are three words each.
fn words(line: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let (mut between, mut last) = (String::new(), None::<char>);
    for c in line.chars() {
        let hump = last.is_some_and(char::is_lowercase) && c.is_uppercase();
        if let Some(word) = words.last_mut().filter(|_| between.is_empty() && (c == '_' || hump)) {
            word.in_name = true;
        }
        if !c.is_alphabetic() {
            between.push(c);
        } else if last.is_some_and(char::is_alphabetic) && !hump {
            if let Some(word) = words.last_mut() {
                word.text.extend(c.to_lowercase());
            }
        } else {
            let text = c.to_lowercase().collect();
            words.push(Word { text, after_space: between == " ", in_name: hump || between.ends_with('_') });
            between.clear();
        }
        last = Some(c);
    }
    words
}

/// Whether a phrase begins here. A phrase of several words is searched in prose only, not in names.
fn begins_with(words: &[Word], phrase: &[String]) -> bool {
    let prose = phrase.len() > 1;
    let matches = |(at, (word, wanted)): (usize, (&Word, &String))| {
        word.text == *wanted && !(prose && word.in_name) && (at == 0 || word.after_space)
    };
    words.len() >= phrase.len() && words.iter().zip(phrase).enumerate().all(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "## Words to avoid\n\nText.\n\n| avoid | write |\n|---|---|\n| told | said |\n| at present, let in | now |\n\nEnd.";

    fn found(line: &str) -> usize {
        let source = SourceFile { path: "crates/x/src/lib.rs".into(), text: line.to_owned() };
        uses(&source, &table(TABLE).unwrap(), &Allowed { allow: Vec::new() }).len()
    }

    #[test]
    fn whole_words_are_found_in_prose_and_in_names() {
        assert_eq!(found("// It is told twice: Told."), 2);
        assert_eq!(found("fn told_in_words() {} struct HasTold;"), 2);
        assert_eq!(found("// untold, retold, toldx"), 0);
    }

    #[test]
    fn phrases_are_found_in_prose_only() {
        assert_eq!(found("// At present there is none."), 1);
        assert_eq!(found("let in_small = at_present;"), 0);
        assert_eq!(found("// Look at: present ones."), 0);
    }

    #[test]
    fn an_exception_covers_its_path_and_word() {
        let exception =
            Exception { path: "crates/x".into(), word: Some("told".into()), reason: "wire".into() };
        assert!(exception.covers(Path::new("crates/x/src/lib.rs"), "told"));
        assert!(!exception.covers(Path::new("crates/x/src/lib.rs"), "at present"));
        assert!(!exception.covers(Path::new("crates/xy/src/lib.rs"), "told"));
    }

    #[test]
    fn a_violation_names_place_and_replacement() {
        let source = SourceFile { path: "README.md".into(), text: "one\nwas told".to_owned() };
        let shown = uses(&source, &table(TABLE).unwrap(), &Allowed { allow: Vec::new() });
        assert_eq!(shown, ["README.md:2: 'told': write said"]);
    }
}
