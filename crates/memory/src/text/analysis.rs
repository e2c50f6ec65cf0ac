//! What ranking needs to know of an episode's text: its words, its cues, and the facts of its metadata. Worked out once,
//! when the episode is stored, and kept beside it.

use std::collections::BTreeMap;

use memcloud_domain::{Episode, Metadata, Scalar};
use serde_json::Value;

use crate::text::calendar::MONTHS;
use crate::text::cues::{Cues, has_time_words};
use crate::text::hash::fnv64;
use crate::text::words::{Word, stem, term, term_id, terms, words};

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
/// Two properties with one hash do no harm: [`Filter::matches`](memcloud_domain::Filter::matches) checks every hit.
pub(crate) fn fact(key: &str, value: &Scalar) -> u64 {
    let number;
    let (kind, value): (u8, &[u8]) = match value {
        Scalar::Text(text) => (1, text.as_bytes()),
        Scalar::Number(x) => {
            // The sum turns -0.0 into 0.0: they are equal and must have one hash.
            number = (x + 0.0).to_bits().to_le_bytes();
            (2, &number)
        }
        Scalar::Bool(false) => (3, &[0]),
        Scalar::Bool(true) => (3, &[1]),
    };
    fnv64(key.bytes().chain([0, kind]).chain(value.iter().copied()))
}
