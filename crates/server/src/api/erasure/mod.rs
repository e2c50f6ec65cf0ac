//! Sessions and people are deleted with their names: `DELETE /v1/sessions` and `DELETE /v1/users`.

pub(crate) mod session;
pub(crate) mod user;

use memcloud_api::memmachine_v1::space;
use memcloud_api::{Place, Problem, Problems};
use memcloud_domain::{Caller, Space};
use memcloud_http::{ApiError, TypedBody};
use serde::de::DeserializeOwned;

use crate::params::{QueryParams, plain};

/// The space and the name in a body that has these fields and no others.
fn named<T: DeserializeOwned>(
    caller: &Caller,
    query: &QueryParams,
    body: TypedBody<T>,
    fields: impl FnOnce(T) -> [(&'static str, String); 2],
) -> Result<(Space, String), ApiError> {
    let [group, name] = body.known_fields_only().checked(|body, problems| {
        query.only(&[], problems);
        let [group, name] = fields(body).map(|field| take(field, problems));
        Some([group?, name?])
    })?;
    Ok((caller.enter(space(group))?, name))
}

/// A name that is not empty.
fn take((field, name): (&'static str, String), problems: &mut Problems) -> Option<String> {
    let place = Place::body().at(field);
    if name.is_empty() {
        problems.push(Problem::new(place, "value_error", "the name is empty", "empty_name"));
        return None;
    }
    problems.take(plain(name, place))
}
