//! The filter of a search: an object whose fields must be equal.

use memcloud_api::{Object, Place, Problem, Problems};
use memcloud_domain::{Attribute, Field, Filter, Rule, Scalar, Violation};
use serde_json::Value;

/// The filter.
pub(super) fn read(given: &Object, problems: &mut Problems) -> Filter {
    let conditions = given.0.iter();
    Filter::All(
        conditions.filter_map(|(key, value)| problems.take(condition(key, value)).flatten()).collect(),
    )
}

/// The condition of one field; `None` for the group, which the session decides.
fn condition(key: &str, value: &Value) -> Result<Option<Filter>, Problem> {
    let attribute = match key {
        "group_id" => return Ok(None),
        "producer_id" => Attribute::Producer,
        "produced_for_id" => Attribute::Recipient,
        "session_id" => Attribute::Session,
        "episode_type" => Attribute::Kind,
        _ => return metadata(key, value).map(Some),
    };
    let place = || Place::body().at("filter").under(key);
    match value {
        Value::String(given) if given.contains('\0') => {
            Err(Problem::of(&Violation::new(Field::Filter, Rule::NulCharacter), place()))
        }
        Value::String(given) => Ok(Some(Filter::equal(attribute, given.clone()))),
        _ => Err(Problem::wrong_type(place(), "string_type", "a valid string")),
    }
}

fn metadata(key: &str, value: &Value) -> Result<Filter, Problem> {
    let place = || Place::body().at("filter").under(key);
    let own = ["metadata.", "m.", "user_metadata."].iter().find_map(|prefix| key.strip_prefix(prefix));
    let Some(own) = own.filter(|own| !own.is_empty()) else {
        return Err(Problem::of(&Violation::unknown_key(key), place()));
    };
    let scalar = Scalar::of(value);
    let scalar = scalar
        .ok_or_else(|| Problem::wrong_type(place(), "scalar_type", "a string, a number or a boolean"))?;
    Ok(Filter::equal(Attribute::Metadata(vec![own.to_owned()]), scalar))
}
