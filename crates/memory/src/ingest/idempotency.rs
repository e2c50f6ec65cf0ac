//! Fingerprints of store requests, by which an engine recognizes a repeated one. They are stored: never change them.

use std::collections::BTreeMap;

use memcloud_domain::Purpose;
use memcloud_ports::Idempotency;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ingest::StoreRequest;

/// The fingerprints of the key, within its space, and of everything that the request says.
pub(super) fn of(key: &str, request: &StoreRequest) -> Idempotency {
    let mut content = Fingerprint::new(&[&request.space.org, &request.space.project]);
    for episode in &request.episodes {
        let metadata = sorted(&Value::Object(episode.metadata.clone())).to_string();
        let created = episode.created_at.map_or(String::new(), |t| t.to_string());
        let purpose = match episode.purpose {
            Purpose::Recall => "recall",
            Purpose::ProfileOnly => "profile",
            Purpose::Transcript => "transcript",
        };
        for text in [
            &episode.session,
            &episode.content,
            &episode.producer,
            &episode.produced_for,
            &episode.role,
            &episode.kind,
            &metadata,
            &created,
            purpose,
        ] {
            content.add(text);
        }
    }
    let key = Fingerprint::new(&[&request.space.org, &request.space.project, key]);
    Idempotency { key: key.finish(), request: content.finish() }
}

/// The same JSON with the keys of every object sorted: a client may build its metadata in another order when it repeats a
/// request.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, Value> =
                map.iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        plain => plain.clone(),
    }
}

/// SHA-256 over texts, each with its length, so that different lists of texts have different fingerprints.
struct Fingerprint(Sha256);

impl Fingerprint {
    fn new(texts: &[&str]) -> Self {
        let mut fingerprint = Self(Sha256::new());
        for text in texts {
            fingerprint.add(text);
        }
        fingerprint
    }

    fn add(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
