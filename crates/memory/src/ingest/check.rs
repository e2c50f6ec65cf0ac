//! What is refused before anything is embedded or stored.

use std::collections::HashMap;

use memcloud_domain::{Field, NewEpisode, Violation};

use crate::ingest::StoreRequest;
use crate::limits::Limits;

/// Every rule that a request breaks.
pub(super) fn request(request: &StoreRequest, limits: &Limits) -> Result<(), Vec<Violation>> {
    let names = [(Field::Organization, &request.space.org), (Field::Space, &request.space.project)];
    let key = request.idempotency_key.iter().map(|key| (Field::IdempotencyKey, key));
    let names = names.into_iter().chain(key).map(|(field, name)| limits.check_name(field, name));
    let mut items = HashMap::new();
    for (item, episode) in request.episodes.iter().enumerate() {
        items.entry(episode.session.as_str()).or_insert(item);
    }
    let members = request.members.iter().flat_map(|of| {
        let item = items.get(of.session.as_str()).copied();
        let at_item = move |violation| Violation { item, ..violation };
        of.members.iter().map(move |member| limits.check_member(member).map_err(at_item))
    });
    let episodes = request.episodes.iter().enumerate().flat_map(|(item, new)| {
        episode(new, limits).map(move |checked| checked.map_err(|violation| violation.of_item(item)))
    });
    Violation::all(names.chain(members).chain(episodes))
}

fn episode(episode: &NewEpisode, limits: &Limits) -> impl Iterator<Item = Result<(), Violation>> {
    let names = [
        (Field::Session, &episode.session),
        (Field::Producer, &episode.producer),
        (Field::Recipient, &episode.produced_for),
        (Field::Role, &episode.role),
        (Field::Kind, &episode.kind),
    ];
    let metadata = limits.check_metadata(&episode.metadata);
    let content = limits.check_text(Field::Content, &episode.content);
    let names = names.map(|(field, name)| limits.check_name(field, name));
    names.into_iter().chain([content, metadata])
}
