//! What ranking needs to know of an episode's text: its words, its cues, and the facts of its metadata. Worked out once,
//! when the episode is stored, and kept beside it.

use std::collections::BTreeMap;
use std::hash::Hasher;

use memcloud_domain::{Episode, Metadata, Scalar};
use serde_json::Value;

use crate::search::{MONTHS, season, weekday};
use crate::words::{Word, stem, term, term_id, terms, words};

/// Goes up whenever the analysis of the same episode would come out differently. What was kept under another version
/// is worked out again from the text.
const VERSION: u8 = 1;

/// Metadata under keys that end in one of these describes what is in the message, such as a picture that came with it.
const DESCRIBING_KEYS: [&str; 4] = ["caption", "title", "description", "alt"];

/// The words, cues and facts of an episode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Analysis {
    /// The hash of each term, and how often it occurs (at most 255 are counted).
    pub(crate) terms: Vec<(u32, u8)>,
    /// What kind of text it is.
    pub(crate) cues: Cues,
    /// The hash of each metadata key with its value.
    pub(crate) facts: Vec<u64>,
}

/// What kind of text it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cues {
    /// It ends in a question mark.
    pub(crate) question: bool,
    /// It holds words such as "yesterday" or "last week".
    pub(crate) time_words: bool,
}

impl Analysis {
    /// The analysis of an episode.
    pub fn of(episode: &Episode) -> Self {
        let mut counts = BTreeMap::<u32, u8>::new();
        let said: Vec<Word<'_>> = words(&episode.content).collect();
        let beside = [episode.producer.as_str()].into_iter().chain(descriptions(&episode.metadata));
        for term in said.iter().filter_map(term).chain(beside.flat_map(terms)).chain(date_terms(episode)) {
            let count = counts.entry(term_id(&term)).or_default();
            *count = count.saturating_add(1);
        }
        let cues =
            Cues { question: episode.content.trim_end().ends_with('?'), time_words: has_time_words(&said) };
        let facts =
            episode.metadata.iter().filter_map(|(key, value)| Some(fact(key, &Scalar::of(value)?))).collect();
        Self { terms: counts.into_iter().collect(), cues, facts }
    }

    /// As engines keep it: version, cues, the number of terms (u32), terms (u32 and u8 each), facts (u64 each); all
    /// little endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(6 + self.terms.len() * 5 + self.facts.len() * 8);
        bytes.push(VERSION);
        bytes.push(u8::from(self.cues.question) | u8::from(self.cues.time_words) << 1);
        bytes.extend((self.terms.len() as u32).to_le_bytes());
        for (term, count) in &self.terms {
            bytes.extend(term.to_le_bytes());
            bytes.push(*count);
        }
        for fact in &self.facts {
            bytes.extend(fact.to_le_bytes());
        }
        bytes
    }

    /// What [`encode`](Self::encode) wrote; `None` when another version did.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, cues], rest) = bytes.split_first_chunk()?;
        if version != VERSION {
            return None;
        }
        let (count, rest) = rest.split_first_chunk()?;
        let (terms, facts) = rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(5)?)?;
        let terms =
            terms.as_chunks().0.iter().map(|&[a, b, c, d, count]| (u32::from_le_bytes([a, b, c, d]), count));
        let facts = facts.as_chunks().0.iter().map(|fact| u64::from_le_bytes(*fact));
        Some(Self {
            terms: terms.collect(),
            cues: Cues { question: cues & 1 != 0, time_words: cues & 2 != 0 },
            facts: facts.collect(),
        })
    }
}

/// The text of an episode that is embedded: what was said, and what describes it.
pub(crate) fn passage(episode: &Episode) -> String {
    let mut passage = episode.content.clone();
    for description in descriptions(&episode.metadata) {
        passage.push(' ');
        passage.push_str(description);
    }
    passage
}

/// The texts in the metadata that describe what is in the message.
fn descriptions(metadata: &Metadata) -> impl Iterator<Item = &str> {
    metadata.iter().filter_map(|(key, value)| match value {
        Value::String(text) if DESCRIBING_KEYS.iter().any(|end| key.to_lowercase().ends_with(end)) => {
            Some(text.as_str())
        }
        _ => None,
    })
}

/// Month, year and day of the moment it happened, as terms: what a question about a date shares with the message.
fn date_terms(episode: &Episode) -> [String; 3] {
    let date = episode.created_at.civil().date();
    let month = MONTHS[usize::from(date.month().unsigned_abs()) - 1];
    [stem(month), date.year().to_string(), date.day().to_string()]
}

/// The hash of a metadata key with its value. Stable: it is kept.
pub(crate) fn fact(key: &str, value: &Scalar) -> u64 {
    let mut hash = Fnv64::default();
    hash.write(key.as_bytes());
    match value {
        Scalar::Text(text) => hash.write(&[&[0, 1], text.as_bytes()].concat()),
        Scalar::Number(number) => {
            hash.write(&[&[0, 2][..], &(number + 0.0).to_bits().to_le_bytes()].concat());
        }
        Scalar::Bool(truth) => hash.write(&[0, 3, u8::from(*truth)]),
    }
    hash.finish()
}

/// 64-bit FNV-1a. A clash of two facts lets through an episode that the filter's last check then refuses.
struct Fnv64(u64);

impl Default for Fnv64 {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv64 {
    fn write(&mut self, bytes: &[u8]) {
        self.0 =
            bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Whether a text tells when something happened, in words such as "yesterday", "last week", "two months ago", "in 2022".
pub(crate) fn has_time_words(words: &[Word<'_>]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        let next = |offset: usize| words.get(at + offset).map_or("", |word| word.plain.as_str());
        match word.plain.as_str() {
            "yesterday" | "today" | "tonight" | "tomorrow" | "ago" => true,
            "last" | "next" => next(1) == "night" || is_period(next(1)),
            "this" => {
                let noun = if next(1) == "past" { next(2) } else { next(1) };
                matches!(noun, "morning" | "afternoon" | "evening") || is_period(noun)
            }
            "past" | "few" => is_plural_period(next(1)),
            "couple" => next(1) == "of" && is_plural_period(next(2)),
            plain => weekday(plain).is_some() || is_plain_month(plain) || is_year(plain),
        }
    })
}

fn is_period(word: &str) -> bool {
    matches!(word, "week" | "weekend" | "month" | "year") || season(word).is_some() || weekday(word).is_some()
}

fn is_plural_period(word: &str) -> bool {
    matches!(word.strip_suffix('s').unwrap_or(word), "day" | "week" | "weekend" | "month" | "year")
}

/// The months but "march" and "may", which are mostly other words.
fn is_plain_month(word: &str) -> bool {
    MONTHS.contains(&word) && !matches!(word, "march" | "may")
}

fn is_year(word: &str) -> bool {
    word.len() == 4
        && (word.starts_with("19") || word.starts_with("20"))
        && word.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a question asks when something happened, or for how long.
pub(crate) fn asks_when(words: &[Word<'_>]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        let next = words.get(at + 1).map_or("", |word| word.plain.as_str());
        match word.plain.as_str() {
            "when" => true,
            "what" => matches!(next, "date" | "day" | "month" | "year" | "time"),
            "which" => matches!(next, "date" | "day" | "month" | "year"),
            "how" => next == "long",
            _ => false,
        }
    })
}
