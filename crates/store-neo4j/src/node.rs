//! The node of an episode, and its place in its conversation.

use std::collections::HashMap;

use half::f16;
use memcloud_domain::{Episode, Purpose, Space};
use memcloud_ports::Prepared;
use neo4rs::{BoltMap, BoltType};
use sha2::{Digest, Sha256};

/// The name of a space in the graph: `org/project`, with the slashes and percent signs of both escaped.
pub(crate) fn space_name(space: &Space) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('/', "%2F");
    format!("{}/{}", escaped(&space.org), escaped(&space.project))
}

/// The prefix of all places in a conversation: a hash of memory, space and session, and a colon.
fn conversation(memory: &str, space: &str, session: &str) -> String {
    let mut hash = Sha256::new();
    for name in [memory, space, session] {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
    }
    let hash: [u8; 32] = hash.finalize().into();
    format!("{:032x}:", u128::from_be_bytes(std::array::from_fn(|at| hash[at])))
}

/// The place of an episode: conversation, time, id. As texts, places sort in the order of the conversation.
fn place(conversation: &str, episode: &Episode) -> String {
    // Times before 1970 are negative. Flipping the sign bit makes them sort first.
    let moment = episode.created_at.as_micros().cast_unsigned() ^ (1 << 63);
    format!("{conversation}{moment:016x}:{}", episode.id)
}

/// An episode to write, and whether its embedding is written later.
#[derive(Clone, Copy)]
pub(crate) struct EpisodeNode<'a> {
    pub(crate) episode: &'a Episode,
    pub(crate) unembedded: bool,
}

impl<'a> EpisodeNode<'a> {
    /// The node of an episode whose vector is known.
    pub(crate) fn of(prepared: &'a Prepared) -> Self {
        Self { episode: &prepared.episode, unembedded: prepared.vector.is_some() }
    }
}

/// The parameter of `put.cypher`.
pub(crate) fn parameter(memory: &str, EpisodeNode { episode, unembedded }: EpisodeNode<'_>) -> BoltType {
    let space = space_name(&episode.space);
    let conversation = conversation(memory, &space, &episode.session);
    let place = place(&conversation, episode);
    let metadata = serde_json::Value::Object(episode.metadata.clone()).to_string();
    let kept_for = match episode.purpose {
        Purpose::Recall => "recall",
        Purpose::ProfileOnly => "profile",
        Purpose::Transcript => "transcript",
    };
    let properties = map([
        ("turn", place.as_str().into()),
        ("session", episode.session.as_str().into()),
        ("content", episode.content.as_str().into()),
        ("producer", episode.producer.as_str().into()),
        ("produced_for", episode.produced_for.as_str().into()),
        ("role", episode.role.as_str().into()),
        ("kind", episode.kind.as_str().into()),
        ("kept_for", kept_for.into()),
        ("metadata", metadata.into()),
    ]);
    BoltType::Map(map([
        ("uid", episode.id.to_string().into()),
        ("session", episode.session.as_str().into()),
        ("producer", episode.producer.as_str().into()),
        ("created_at", episode.created_at.to_string().into()),
        ("stored_at", episode.ingested_at.to_string().into()),
        ("conversation", conversation.into()),
        ("place", place.into()),
        ("unembedded", unembedded.into()),
        ("properties", BoltType::Map(properties)),
    ]))
}

/// A vector as a list of numbers, which Neo4j's own index reads.
pub(crate) fn numbers(vector: &[f16]) -> BoltType {
    vector.iter().map(|number| number.to_f64()).collect::<Vec<f64>>().into()
}

/// A map of these entries.
pub(crate) fn map<const N: usize>(entries: [(&str, BoltType); N]) -> BoltMap {
    BoltMap {
        value: entries.into_iter().map(|(name, value)| (name.into(), value)).collect::<HashMap<_, _>>(),
    }
}
