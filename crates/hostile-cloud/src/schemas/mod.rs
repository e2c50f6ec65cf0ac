//! What a request may hold, by the published descriptions in `schemas/`.
//!
//! The same descriptions are the router of this cloud: a request belongs to the method whose path it matches.

mod document;
mod template;
mod value;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::api::Api;
use document::{Document, Method};

/// A request that breaks the description of its API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{method} {host}/{path}: {problem}")]
pub struct Violation {
    /// The HTTP method.
    pub method: String,
    /// The host of the API, such as `run.googleapis.com`.
    pub host: String,
    /// The path below the host, without the leading slash.
    pub path: String,
    /// What is wrong, and where.
    pub problem: Problem,
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No API has this host, or no method this path.
    NoSuchMethod,
    /// A query parameter that the method does not have, or whose value has the wrong form.
    Query(String),
    /// Fields of the body: each with its place and what is wrong with it.
    Body(Vec<String>),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchMethod => f.write_str("there is no such method"),
            Self::Query(problem) => f.write_str(problem),
            Self::Body(problems) => f.write_str(&problems.join("; ")),
        }
    }
}

/// The method that a request belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) api: Api,
    /// The name in the description, such as `run.projects.locations.services.create`.
    pub(crate) id: &'static str,
    /// The variable parts of the path.
    pub(crate) parts: BTreeMap<&'static str, String>,
    /// The query.
    pub(crate) query: Vec<(String, String)>,
}

/// Checks a request against the description of its API.
///
/// `path` is what follows the host, with or without the leading slash; `query` what follows the `?`, or nothing.
pub fn check(
    method: &str,
    host: &str,
    path: &str,
    query: &str,
    body: Option<&Value>,
) -> Result<(), Violation> {
    find(method, host, path, query, body).map(drop)
}

/// Checks the body of a method that is given by its name, such as `sql.instances.insert`.
pub fn check_body(api: &str, id: &str, body: &Value) -> Result<(), Problem> {
    let document =
        Document::all().iter().find(|document| document.name == api).ok_or(Problem::NoSuchMethod)?;
    let method = document.methods.iter().find(|method| method.id == id).ok_or(Problem::NoSuchMethod)?;
    body_of(document, method, Some(body))
}

/// The method of a request that keeps to its description.
pub(crate) fn find(
    method: &str,
    host: &str,
    path: &str,
    query: &str,
    body: Option<&Value>,
) -> Result<Found, Violation> {
    let path = path.trim_start_matches('/');
    let fail = |problem| Violation { method: method.into(), host: host.into(), path: path.into(), problem };
    let document = Api::at(host).map(Document::of).ok_or_else(|| fail(Problem::NoSuchMethod))?;
    let (found, parts) = document.route(method, path).ok_or_else(|| fail(Problem::NoSuchMethod))?;
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for (name, value) in &query {
        parameter(document, found, name, value).map_err(|problem| fail(Problem::Query(problem)))?;
    }
    body_of(document, found, body).map_err(fail)?;
    Ok(Found { api: document.api, id: found.id, parts, query })
}

fn parameter(document: &Document, method: &Method, name: &str, value: &str) -> Result<(), String> {
    let known = method.query.get(name).copied().or_else(|| document.parameters.get(name));
    let schema = known.ok_or_else(|| format!("the query parameter '{name}' is unknown"))?;
    let fits = match schema["type"].as_str() {
        Some("boolean") => value.parse::<bool>().is_ok(),
        Some("integer") => value.parse::<i64>().is_ok(),
        // The trimmed documents refer to a common enum of Google's APIs by values that clients leave out.
        _ => schema["enum"].as_array().is_none_or(|values| values.iter().any(|one| one == value)),
    };
    if fits { Ok(()) } else { Err(format!("the query parameter '{name}' may not be '{value}'")) }
}

fn body_of(document: &Document, method: &Method, body: Option<&Value>) -> Result<(), Problem> {
    let problems = match (&method.request, body) {
        (Some(request), body) => {
            let nothing = Value::Object(serde_json::Map::new());
            value::problems(document, method.id, request, body.unwrap_or(&nothing))
        }
        (None, Some(Value::Object(fields))) if fields.is_empty() => Vec::new(),
        (None, Some(_)) => vec!["$: the method takes no body".to_owned()],
        (None, None) => Vec::new(),
    };
    if problems.is_empty() { Ok(()) } else { Err(Problem::Body(problems)) }
}
