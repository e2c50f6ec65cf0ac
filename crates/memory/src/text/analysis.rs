//! What the index needs to know of an episode: the words and cues of its text, the role, and the properties in its
//! metadata. Computed once, when the episode is stored, and kept with it.

use std::collections::BTreeMap;

use memcloud_domain::{Episode, Metadata};
use serde_json::Value;

use crate::text::calendar::MONTHS;
use crate::text::cues::{Cues, has_time_words};
use crate::text::properties::{Properties, split_sized, write_sized};
use crate::text::terms::{stem, term, term_id, term_ids};
use crate::text::tokens::{Token, tokens};

/// Increases whenever the analysis of the same episode would come out differently. What was kept under another version
/// is computed again from the episode.
const VERSION: u8 = 3;

/// Metadata under keys with these endings describes the message, such as a picture that came with it.
const DESCRIBING_KEYS: [&str; 4] = ["caption", "title", "description", "alt"];

/// The words, cues, role and properties of an episode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Analysis {
    /// The hash of each term, and how often it occurs (255 stands for more).
    pub(crate) terms: Vec<(u32, u8)>,
    /// What kind of text it is.
    pub(crate) cues: Cues,
    /// The role of the producer; empty when none was given.
    pub(crate) role: String,
    /// The values in the metadata.
    pub(crate) properties: Properties,
}

impl Analysis {
    /// The analysis of an episode.
    pub fn of(episode: &Episode) -> Self {
        let mut counts = BTreeMap::<u32, u8>::new();
        let content: Vec<Token<'_>> = tokens(&episode.content).collect();
        let context = [episode.producer.as_str()].into_iter().chain(descriptions(&episode.metadata));
        let terms = content.iter().filter_map(term).map(|term| term_id(&term));
        for term in terms.chain(context.flat_map(term_ids)).chain(date_terms(episode)) {
            let count = counts.entry(term).or_default();
            *count = count.saturating_add(1);
        }
        let cues = Cues {
            question: episode.content.trim_end().ends_with('?'),
            time_words: has_time_words(&content),
        };
        Self {
            terms: counts.into_iter().collect(),
            cues,
            role: episode.role.clone(),
            properties: Properties::of(&episode.metadata),
        }
    }

    /// As engines keep it: version, cues, the number of terms (u32), terms (u32 and u8 each), the role with its length, and
    /// the properties; all little endian.
    pub fn encode(&self) -> Vec<u8> {
        let properties = self.properties.as_bytes();
        let mut bytes = Vec::with_capacity(8 + self.terms.len() * 5 + self.role.len() + properties.len());
        bytes.push(VERSION);
        bytes.push(u8::from(self.cues.question) | u8::from(self.cues.time_words) << 1);
        bytes.extend((self.terms.len() as u32).to_le_bytes());
        for (term, count) in &self.terms {
            bytes.extend(term.to_le_bytes());
            bytes.push(*count);
        }
        write_sized(&self.role, &mut bytes);
        bytes.extend(properties);
        bytes
    }

    /// Whether an earlier version wrote these bytes. What a later version wrote is left to servers of that version.
    pub(crate) fn is_of_earlier_version(bytes: &[u8]) -> bool {
        bytes.first().is_none_or(|version| *version < VERSION)
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` when another version wrote it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, cues], rest) = bytes.split_first_chunk()?;
        if version != VERSION {
            return None;
        }
        let (count, rest) = rest.split_first_chunk()?;
        let (terms, rest) = rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(5)?)?;
        let terms =
            terms.as_chunks().0.iter().map(|&[a, b, c, d, count]| (u32::from_le_bytes([a, b, c, d]), count));
        let (role, properties) = split_sized(rest)?;
        Some(Self {
            terms: terms.collect(),
            cues: Cues { question: cues & 1 != 0, time_words: cues & 2 != 0 },
            role: std::str::from_utf8(role).ok()?.to_owned(),
            properties: Properties::from_bytes(properties)?,
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
pub(crate) fn descriptions(metadata: &Metadata) -> impl Iterator<Item = &str> {
    metadata.iter().filter_map(|(key, value)| match value {
        Value::String(text) if DESCRIBING_KEYS.iter().any(|end| key.to_lowercase().ends_with(end)) => {
            Some(text.as_str())
        }
        _ => None,
    })
}

/// The hashes of the episode's month, year and day, since a query about a date shares these terms.
fn date_terms(episode: &Episode) -> [u32; 3] {
    let date = episode.created_at.civil().date();
    let month = MONTHS[usize::from(date.month().unsigned_abs()) - 1];
    [term_id(&stem(month)), term_id(&date.year().to_string()), term_id(&date.day().to_string())]
}
