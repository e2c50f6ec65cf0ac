//! Typed parameters of paths, query strings and headers.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use memcloud_api::{Place, Problem, Problems, unknown_field};
use memcloud_domain::Violation;
use serde_json::Value;

use crate::ApiError;

/// The parameters of a query string. Of a repeated one the last counts, where [`only`](Self::only) does not refuse it.
pub struct QueryParams {
    values: HashMap<String, String>,
    /// The names that are there more than once.
    repeated: Vec<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for QueryParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        read.map(|Query(pairs)| Self::of(pairs)).map_err(|_| {
            let msg = "this is not a valid query string";
            let problem = Problem::new(Place::query(), "query_invalid", msg, "invalid_query");
            problem.showing(&Value::from(parts.uri.query())).into()
        })
    }
}

impl QueryParams {
    fn of(pairs: Vec<(String, String)>) -> Self {
        let (mut values, mut repeated) = (HashMap::new(), vec![]);
        for (name, value) in pairs {
            if values.insert(name.clone(), value).is_some() {
                repeated.push(name);
            }
        }
        Self { values, repeated }
    }

    /// Refuses all parameters but these, and repeated ones: a request that destroys something must not be misunderstood.
    pub fn only(&self, known: &[&str], problems: &mut Problems) {
        let mut unknown: Vec<&String> =
            self.values.keys().filter(|name| !known.contains(&name.as_str())).collect();
        unknown.sort_unstable();
        problems.extend(unknown.iter().map(|name| {
            unknown_field(Place::query().under(name)).showing(&Value::from(self.values[*name].as_str()))
        }));
        problems.extend(self.repeated.iter().map(|name| {
            let msg = "the parameter is there more than once";
            Problem::new(Place::query().under(name), "value_error", msg, "repeated_parameter")
        }));
    }

    /// A text; `None` when absent or empty.
    pub fn text(&mut self, name: &'static str, problems: &mut Problems) -> Option<String> {
        let text = self.values.remove(name).filter(|text| !text.is_empty())?;
        problems.take(plain(text, Place::query().at(name)))
    }

    /// A text that `read` understands; `None` when absent or empty.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
        read: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        let text = self.text(name, problems)?;
        problems.take(understood(&text, Place::query().at(name), read))
    }

    /// The most results that an answer shall have, as `check` makes it of the number that is given.
    pub fn limit(
        &mut self,
        problems: &mut Problems,
        check: impl FnOnce(Option<i64>) -> Result<usize, Violation>,
    ) -> Option<usize> {
        let given = match self.text("limit", problems) {
            None => None,
            Some(text) => {
                let number = text.parse::<i128>();
                let problem = |_| wrong("limit", "int_parsing", "Input should be a valid integer", &text);
                let number = problems.take(number.map_err(problem))?;
                Some(number.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
            }
        };
        let problem = |violation| Problem::of(&violation, Place::query().at("limit"));
        problems.take(check(given).map_err(|violation| problem(violation).showing(&Value::from(given))))
    }

    /// The `cursor` of a page, as `read` understands it; `None` when absent or empty.
    pub fn cursor<T>(&mut self, problems: &mut Problems, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text("cursor", problems)?;
        problems.take(read(&text).ok_or_else(|| {
            let msg = "this is not a valid cursor";
            let problem = Problem::new(Place::query().at("cursor"), "value_error", msg, "invalid_cursor");
            problem.showing(&Value::from(text))
        }))
    }

    /// A truth value: `false` when absent, `true` when it has no value.
    pub fn truth(&mut self, name: &'static str, problems: &mut Problems) -> bool {
        match self.values.remove(name).as_deref() {
            None | Some("false" | "0") => false,
            Some("" | "true" | "1") => true,
            Some(other) => {
                problems.push(wrong(name, "bool_parsing", "Input should be a valid boolean", other));
                false
            }
        }
    }
}

fn wrong(name: &'static str, kind: &'static str, msg: &str, given: &str) -> Problem {
    Problem::new(Place::query().at(name), kind, msg, "wrong_type").showing(&Value::from(given))
}

fn understood<T>(
    text: &str,
    place: Place,
    read: impl FnOnce(&str) -> Result<T, Violation>,
) -> Result<T, Problem> {
    read(text).map_err(|violation| Problem::of(&violation, place).showing(&Value::from(text)))
}

/// The `{id}` of a path.
pub struct PathId(Result<String, Problem>);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(of_path(read, parts, "id", "the id").and_then(|id| plain(id, Place::path("id")))))
    }
}

impl PathId {
    /// The id as a text.
    pub fn text(self, problems: &mut Problems) -> Option<String> {
        problems.take(self.0)
    }

    /// The id as `read` understands it.
    pub fn parsed<T>(
        self,
        problems: &mut Problems,
        read: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        problems.take(self.0.and_then(|id| understood(&id, Place::path("id"), read)))
    }
}

/// Parameters of a path as axum read them, of which `name` is at fault if it could not.
pub fn of_path<T, E>(
    read: Result<Path<T>, E>,
    parts: &Parts,
    name: &'static str,
    what: &str,
) -> Result<T, Problem> {
    read.map(|Path(value)| value).map_err(|_| {
        let msg = format!("{what} is not UTF-8");
        let problem = Problem::new(Place::path(name), "string_unicode", msg, "invalid_path");
        problem.showing(&Value::from(parts.uri.path()))
    })
}

/// The value of a header as UTF-8.
pub fn header(name: &'static str, value: &HeaderValue) -> Result<String, Problem> {
    let place = Place::header(name);
    if let Ok(text) = str::from_utf8(value.as_bytes()) {
        return plain(text.to_owned(), place);
    }
    let problem = Problem::new(place, "string_unicode", "the header is not UTF-8", "invalid_header");
    Err(problem.showing(&Value::from(String::from_utf8_lossy(value.as_bytes()))))
}

/// A text without NUL, which no engine stores.
pub fn plain(text: String, place: Place) -> Result<String, Problem> {
    if text.contains('\0') {
        let msg = "the value contains a NUL character";
        return Err(Problem::new(place, "value_error", msg, "nul_character").showing(&Value::String(text)));
    }
    Ok(text)
}
