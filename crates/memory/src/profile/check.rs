//! What is refused of a fact that is made by hand, before it is embedded or stored.

use memcloud_domain::{EpisodeId, FactSet, Field, Metadata, Rule, Violation};

use crate::limits::Limits;

/// The most messages that a fact may cite.
const CITATIONS: usize = 1_000;
/// The most keys in the metadata of a set.
const SET_KEYS: usize = 16;

/// The rules of the texts of a fact, its metadata and its citations. What is `None` does not change.
pub(super) fn fact<'a>(
    limits: &'a Limits,
    texts: [(Field, Option<&'a String>); 4],
    metadata: Option<&Metadata>,
    citations: Option<&Vec<EpisodeId>>,
) -> impl Iterator<Item = Result<(), Violation>> {
    let metadata = metadata.map_or(Ok(()), |metadata| limits.check_metadata(metadata));
    let citations = at_most(CITATIONS, Field::Citations, citations.map_or(0, Vec::len));
    let texts = texts.into_iter().filter_map(|(field, text)| Some((field, text?)));
    texts.map(|(field, text)| limits.check_fact_text(field, text)).chain([metadata, citations])
}

/// The rules of the names in a set.
pub(super) fn set(limits: &Limits, set: &FactSet) -> impl Iterator<Item = Result<(), Violation>> {
    let scope = [(Field::Organization, Some(&set.scope.org)), (Field::Space, set.scope.project.as_ref())];
    let pairs = set.metadata.iter().take(SET_KEYS).flat_map(|(key, value)| [key, value]);
    let names = scope.into_iter().chain(pairs.map(|name| (Field::FactSet, Some(name))));
    let names = names.filter_map(|(field, name)| Some((field, name?)));
    let count = at_most(SET_KEYS, Field::FactSet, set.metadata.len());
    names.map(|(field, name)| limits.check_name(field, name)).chain([count])
}

fn at_most(limit: usize, field: Field, count: usize) -> Result<(), Violation> {
    if count > limit { Err(Violation::new(field, Rule::TooManyValues { limit })) } else { Ok(()) }
}
