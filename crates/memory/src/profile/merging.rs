//! Which facts are worth merging: those of a tag that has become crowded.

use std::collections::HashMap;

use memcloud_ports::EmbeddedFact;

/// A tag with so many current facts is crowded. The number is MemMachine's.
const CROWDED: usize = 20;
/// And again whenever so many more have come, merged or not.
const STEP: usize = 10;

/// The tags that this growth has made crowded, or more so by a step.
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
