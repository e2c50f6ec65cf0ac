//! What is refused before anything is embedded or stored.

use memcloud_domain::{Error, Field, Metadata, NewEpisode, Rule, Violation};
use serde_json::Value;

use crate::ingest::StoreRequest;
use crate::limits::Limits;

/// Refuses a request that breaks rules, and names all of them.
pub(super) fn request(request: &StoreRequest, limits: &Limits) -> Result<(), Error> {
    let names = [(Field::Organisation, &request.space.org), (Field::Space, &request.space.project)];
    let key = request.idempotency_key.iter().map(|key| (Field::IdempotencyKey, key));
    let names = names.into_iter().chain(key).map(|(field, name)| limits.check_name(field, name));
    let members = request.members.iter().flat_map(|of| {
        let item = request.episodes.iter().position(|episode| episode.session == of.session);
        let at_item = move |violation| Violation { item, ..violation };
        of.members.iter().map(move |member| limits.check_member(member).map_err(at_item))
    });
    let episodes = request.episodes.iter().enumerate().flat_map(|(item, new)| {
        episode(new, limits).map(move |checked| checked.map_err(|violation| violation.of_item(item)))
    });
    Error::check_all(names.chain(members).chain(episodes))
}

fn episode(episode: &NewEpisode, limits: &Limits) -> impl Iterator<Item = Result<(), Violation>> {
    let names = [
        (Field::Session, &episode.session),
        (Field::Producer, &episode.producer),
        (Field::Recipient, &episode.produced_for),
        (Field::Role, &episode.role),
        (Field::Kind, &episode.kind),
    ];
    let metadata = if has_nul(&episode.metadata) {
        Err(Violation::new(Field::Metadata, Rule::NulCharacter))
    } else {
        Ok(())
    };
    let content = limits.check_text(Field::Content, &episode.content);
    let names = names.map(|(field, name)| limits.check_name(field, name));
    names.into_iter().chain([content, metadata])
}

/// Whether any text in the metadata holds NUL. JSON allows it, but PostgreSQL cannot store it, and an engine must not
/// accept what another cannot.
fn has_nul(metadata: &Metadata) -> bool {
    fn inside(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(inside),
            Value::Object(map) => has_nul(map),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    metadata.iter().any(|(key, value)| key.contains('\0') || inside(value))
}
