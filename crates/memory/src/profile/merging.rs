//! Which facts to merge: those of a tag that has become crowded.

use std::collections::HashMap;

use memcloud_ports::EmbeddedFact;

/// A tag with this many current facts is crowded. MemMachine uses the same number.
const CROWDED: usize = 20;
/// A crowded tag is merged again whenever it has grown by this many facts.
const STEP: usize = 10;

/// The tags that have become crowded, or have grown by another step, since `before`.
pub(crate) fn crowded<'a>(before: &[EmbeddedFact], grown: &'a HashMap<String, usize>) -> Vec<&'a str> {
    let crossed = |tag: &str, more: usize| {
        let had = before.iter().filter(|fact| fact.fact.tag == tag).count();
        had + more >= CROWDED && had / STEP != (had + more) / STEP
    };
    let mut tags: Vec<&str> =
        grown.iter().filter(|(tag, more)| crossed(tag, **more)).map(|(tag, _)| tag.as_str()).collect();
    tags.sort_unstable();
    tags
}
