//! What ranking needs to know about an episode: its terms, its cues and the properties in its metadata. Computed once, when
//! the episode is stored, and stored beside it.

use std::collections::BTreeMap;

use memcloud_domain::{Episode, Metadata, Scalar};
use serde_json::Value;

use crate::text::calendar::MONTHS;
use crate::text::cues::{Cues, has_time_words};
use crate::text::hash::fnv64;
use crate::text::terms::{stem, term, term_id, terms};
use crate::text::tokens::{Token, tokens};

/// Raise this whenever the analysis of an episode changes. An analysis that was stored under another version is computed
/// again from the text.
const VERSION: u8 = 1;

/// Metadata under keys with these endings describes the message, such as a picture that came with it.
const DESCRIBING_KEYS: [&str; 4] = ["caption", "title", "description", "alt"];

/// The terms, cues and properties of an episode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Analysis {
    /// The hash of each term, and how often it occurs (255 stands for more).
    pub(crate) terms: Vec<(u32, u8)>,
    /// What kind of text it is.
    pub(crate) cues: Cues,
    /// The hash of each metadata key with its value.
    pub(crate) properties: Vec<u64>,
}

impl Analysis {
    /// The analysis of an episode.
    pub fn of(episode: &Episode) -> Self {
        let mut counts = BTreeMap::<u32, u8>::new();
        let content: Vec<Token<'_>> = tokens(&episode.content).collect();
        let beside = [episode.producer.as_str()].into_iter().chain(descriptions(&episode.metadata));
        for term in content.iter().filter_map(term).chain(beside.flat_map(terms)).chain(date_terms(episode)) {
            let count = counts.entry(term_id(&term)).or_default();
            *count = count.saturating_add(1);
        }
        let cues = Cues {
            question: episode.content.trim_end().ends_with('?'),
            time_words: has_time_words(&content),
        };
        let properties = episode
            .metadata
            .iter()
            .filter_map(|(key, value)| Some(property(key, &Scalar::of(value)?)))
            .collect();
        Self { terms: counts.into_iter().collect(), cues, properties }
    }

    /// As engines store it: version, cues, number of terms (u32), terms (u32 and u8 each), properties (u64 each), all in
    /// little-endian order.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(6 + self.terms.len() * 5 + self.properties.len() * 8);
        bytes.push(VERSION);
        bytes.push(u8::from(self.cues.question) | u8::from(self.cues.time_words) << 1);
        bytes.extend((self.terms.len() as u32).to_le_bytes());
        for (term, count) in &self.terms {
            bytes.extend(term.to_le_bytes());
            bytes.push(*count);
        }
        for property in &self.properties {
            bytes.extend(property.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` when another version wrote it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, cues], rest) = bytes.split_first_chunk()?;
        if version != VERSION {
            return None;
        }
        let (count, rest) = rest.split_first_chunk()?;
        let (terms, properties) =
            rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(5)?)?;
        let terms =
            terms.as_chunks().0.iter().map(|&[a, b, c, d, count]| (u32::from_le_bytes([a, b, c, d]), count));
        let properties = properties.as_chunks().0.iter().map(|hash| u64::from_le_bytes(*hash));
        Some(Self {
            terms: terms.collect(),
            cues: Cues { question: cues & 1 != 0, time_words: cues & 2 != 0 },
            properties: properties.collect(),
        })
    }
}

/// The text of an episode that is embedded: its content and what describes it.
pub(crate) fn embedded_text(episode: &Episode) -> String {
    let mut text = episode.content.clone();
    for description in descriptions(&episode.metadata) {
        text.push(' ');
        text.push_str(description);
    }
    text
}

/// The texts in the metadata that describe the message.
fn descriptions(metadata: &Metadata) -> impl Iterator<Item = &str> {
    metadata.iter().filter_map(|(key, value)| match value {
        Value::String(text) if DESCRIBING_KEYS.iter().any(|end| key.to_lowercase().ends_with(end)) => {
            Some(text.as_str())
        }
        _ => None,
    })
}

/// Month, year and day of the episode as terms, since a query about a date shares them.
fn date_terms(episode: &Episode) -> [String; 3] {
    let date = episode.created_at.civil().date();
    let month = MONTHS[usize::from(date.month().unsigned_abs()) - 1];
    [stem(month), date.year().to_string(), date.day().to_string()]
}

/// The hash of a metadata key with its value. It is stored: never change it.
///
/// Two properties with one hash do no harm: [`Filter::matches`](memcloud_domain::Filter::matches) checks every hit.
pub(crate) fn property(key: &str, value: &Scalar) -> u64 {
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
