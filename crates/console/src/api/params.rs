//! Typed parameters of paths, query strings and bodies.

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use memcloud_api::{Place, Problem, Problems};
use memcloud_control::PageQuery;
use memcloud_domain::{Field, Rule, Timestamp, Violation};
use memcloud_http::ApiError;
use memcloud_http::params::QueryParams;
use serde::de::DeserializeOwned;

/// How many items a page usually has, and at most.
const USUAL_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

/// The ids of a path. What is not an id names nothing.
pub(crate) struct Named<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        let no_id = |_| ApiError::new(StatusCode::NOT_FOUND, "nothing has this id", "not_found");
        read.map(|Path(named)| Self(named)).map_err(no_id)
    }
}

/// A request without parameters in its query. A caller that sends one means something that would not happen.
pub(crate) struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = QueryParams::from_request_parts(parts, state).await?;
        let checked = Problems::none_in(|problems| {
            query.only(&[], problems);
            Some(Self)
        });
        Ok(checked?)
    }
}

/// The page that a query asks for.
pub(super) fn page(query: &mut QueryParams, problems: &mut Problems) -> Option<PageQuery> {
    let check = |given: Option<i64>| match given.map(|given| (given, usize::try_from(given))) {
        None => Ok(USUAL_LIMIT),
        Some((_, Ok(limit))) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        Some((given, _)) => Err(Violation::new(Field::Limit, Rule::OutOfRange { given, max: MAX_LIMIT })),
    };
    let limit = query.limit(problems, check);
    let cursor = query.text("cursor", problems);
    Some(PageQuery { limit: limit?, cursor })
}

/// A moment to come.
pub(super) fn later(given: &str, place: Place, now: Timestamp) -> Result<Timestamp, Problem> {
    let moment: Timestamp = given.parse().map_err(|violation| Problem::of(&violation, place.clone()))?;
    if moment <= now {
        return Err(Problem::new(place, "value_error", "this time is in the past", "time_in_the_past"));
    }
    Ok(moment)
}

/// A name that people give: not empty, at most this many characters, on one line.
pub(super) fn check_name(name: &str, field: &'static str, most: usize) -> Result<(), Problem> {
    let (msg, code) = if name.trim().is_empty() {
        ("the name is empty".to_owned(), "unnamed")
    } else if name.chars().nth(most).is_some() {
        (format!("the name has more than {most} characters"), "name_too_long")
    } else if name.chars().any(char::is_control) {
        ("the name has a control character".to_owned(), "control_character")
    } else {
        return Ok(());
    };
    Err(Problem::new(Place::body().at(field), "value_error", msg, code))
}

/// A word of a body that names one of a few things.
pub(super) fn word<T: std::str::FromStr>(
    given: &str,
    field: &'static str,
    known: &str,
    code: &'static str,
) -> Result<T, Problem> {
    let unknown =
        |_| Problem::new(Place::body().at(field), "value_error", format!("it is one of {known}"), code);
    given.parse().map_err(unknown)
}
