//! The fields of a body that its type does not have.

use serde::de::DeserializeOwned;
use serde_ignored::Path;

use crate::{Place, Problem};

/// The places of the fields that `T` does not have, in the order of the body.
pub fn unknown_fields<T: DeserializeOwned>(body: &[u8]) -> Vec<Place> {
    let mut unknown = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let note = |path: Path<'_>| unknown.push(place(&path));
    // A body that is not a `T` is refused when it is read; the fields up to there are known.
    let _ = serde_ignored::deserialize::<_, _, T>(&mut reader, note);
    unknown
}

/// A field or parameter that must not be there, because the request would destroy something that it may not mean.
pub fn unknown_field(at: Place) -> Problem {
    Problem::new(at, "extra_forbidden", "Extra inputs are not permitted", "unknown_field")
}

fn place(path: &Path<'_>) -> Place {
    match path {
        Path::Root => Place::body(),
        Path::Seq { parent, index } => place(parent).item(*index),
        Path::Map { parent, key } => place(parent).under(key),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            place(parent)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::unknown_fields;
    use crate::memmachine_v1::{ForgetSession, SearchQuery};

    fn places<T: serde::de::DeserializeOwned>(body: &str) -> Vec<String> {
        unknown_fields::<T>(body.as_bytes()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn fields_that_a_type_does_not_have_are_found_wherever_they_are() {
        let body = r#"{"session": {"sesion_id": "a", "session_id": "b"}, "dry_run": true}"#;
        assert_eq!(places::<ForgetSession>(body), ["body.session.sesion_id", "body.dry_run"]);
        let body = r#"{"query": "a", "filter": {"metadata.x": 1}, "limt": 3, "filtr": {}}"#;
        assert_eq!(places::<SearchQuery>(body), ["body.limt", "body.filtr"]);
        assert!(places::<SearchQuery>(r#"{"query": "a", "limit": "#).is_empty());
    }
}
