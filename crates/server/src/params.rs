//! Typed parameters of paths, query strings and headers.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use memcloud_api::{Place, Problem};
use memcloud_domain::{Field, Rule, Space, Violation};
use serde_json::Value;

use crate::error::ApiError;

/// The parameters of a query string. Of a repeated one the last counts.
pub(crate) struct QueryParams(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for QueryParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(map)| Self(map)).map_err(|_| {
            let msg = "this is not a valid query string";
            let problem = Problem::new(Place::query(), "query_invalid", msg, "invalid_query");
            problem.showing(&Value::from(parts.uri.query())).into()
        })
    }
}

impl QueryParams {
    /// A text; `None` when absent or empty.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let given = self.0.remove(name).filter(|text| !text.is_empty());
        given.map(|text| plain(text, || Place::query().at(name))).transpose()
    }

    /// A text that `read` understands; `None` when absent or empty.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let problem = |violation| Problem::of(&violation, Place::query().at(name));
        read(&text).map(Some).map_err(|violation| problem(violation).showing(&Value::from(text)))
    }

    /// A whole number; `None` when absent or empty.
    pub(crate) fn integer(&mut self, name: &'static str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match text.parse::<i128>() {
            Ok(number) => Ok(Some(number.clamp(i64::MIN.into(), i64::MAX.into()) as i64)),
            Err(_) => Err(wrong(name, "int_parsing", "Input should be a valid integer", &text)),
        }
    }

    /// A truth value: `false` when absent, `true` when it has no value.
    pub(crate) fn truth(&mut self, name: &'static str) -> Result<bool, Problem> {
        match self.0.remove(name).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(other) => Err(wrong(name, "bool_parsing", "Input should be a valid boolean", other)),
        }
    }
}

fn wrong(name: &'static str, kind: &'static str, msg: &str, given: &str) -> Problem {
    Problem::new(Place::query().at(name), kind, msg, "wrong_type").showing(&Value::from(given))
}

/// The `{id}` of a path.
pub(crate) struct PathId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let place = || Place::path("id");
        let Ok(Path(id)) = Path::<String>::from_request_parts(parts, state).await else {
            let problem = Problem::new(place(), "string_unicode", "the id is not UTF-8", "invalid_path");
            return Err(problem.showing(&Value::from(parts.uri.path())).into());
        };
        Ok(Self(plain(id, place)?))
    }
}

impl PathId {
    /// The id as `read` understands it.
    pub(crate) fn parsed<T>(self, read: impl FnOnce(&str) -> Result<T, Violation>) -> Result<T, Problem> {
        let problem = |violation| Problem::of(&violation, Place::path("id")).showing(&Value::from(&*self.0));
        read(&self.0).map_err(problem)
    }
}

/// The `{org}/{project}` of a path.
pub(crate) struct PathSpace(pub(crate) Space);

impl<S: Send + Sync> FromRequestParts<S> for PathSpace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Ok(Path((org, project))) = read else {
            let msg = "the name of the space is not UTF-8";
            let problem = Problem::new(Place::path("project"), "string_unicode", msg, "invalid_path");
            return Err(problem.showing(&Value::from(parts.uri.path())).into());
        };
        let org = plain(org, || Place::path("org"))?;
        Ok(Self(Space { org, project: plain(project, || Place::path("project"))? }))
    }
}

/// The value of a header as UTF-8.
pub(crate) fn header(name: &'static str, value: &HeaderValue) -> Result<String, Problem> {
    let place = || Place::header(name);
    if let Ok(text) = str::from_utf8(value.as_bytes()) {
        return plain(text.to_owned(), place);
    }
    let problem = Problem::new(place(), "string_unicode", "the header is not UTF-8", "invalid_header");
    Err(problem.showing(&Value::from(String::from_utf8_lossy(value.as_bytes()))))
}

/// A text without NUL, which not every engine can store.
pub(crate) fn plain(text: String, place: impl FnOnce() -> Place) -> Result<String, Problem> {
    if text.contains('\0') {
        let violation = Violation::new(Field::Content, Rule::NulCharacter);
        return Err(Problem::of(&violation, place()).showing(&Value::String(text)));
    }
    Ok(text)
}
