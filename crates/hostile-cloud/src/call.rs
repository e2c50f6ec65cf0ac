//! A request that a method answers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::answer::Refusal;
use crate::api::Api;
use crate::failure::Failure;
use crate::schemas::Found;

/// A request that keeps to the description of its API.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) api: Api,
    /// The name of the method, such as `sql.instances.insert`.
    pub(crate) id: &'static str,
    parts: BTreeMap<&'static str, String>,
    query: Vec<(String, String)>,
    /// `null` without one.
    pub(crate) body: Value,
    /// How the operation that it begins will fail, if a test has asked for that.
    pub(crate) fails: Option<Failure>,
}

impl Call {
    pub(crate) fn new(found: Found, body: Option<Value>) -> Self {
        let Found { api, id, parts, query } = found;
        Self { api, id, parts, query, body: body.unwrap_or(Value::Null), fails: None }
    }

    /// A variable part of the path; empty if the path has none of this name.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.parts.get(name).map_or("", String::as_str)
    }

    /// The project in the path.
    pub(crate) fn project(&self) -> Option<&str> {
        let project = ["projectsId", "project", "v1Id1"].iter().find_map(|name| self.parts.get(*name))?;
        Some(project.as_str())
    }

    /// The location in the path.
    pub(crate) fn location(&self) -> &str {
        ["locationsId", "region", "zone"]
            .iter()
            .find_map(|name| self.parts.get(*name))
            .map_or("global", |it| it)
    }

    /// A query parameter, unless it is absent or empty.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let given = self.query.iter().find(|(other, value)| other == name && !value.is_empty());
        given.map(|(_, value)| value.as_str())
    }

    /// All values of a repeated query parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A query parameter that the method cannot do without.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.query(name)
            .ok_or_else(|| Refusal::invalid(format!("The request is missing the parameter '{name}'.")))
    }

    /// A flag in the query.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.query(name) == Some("true")
    }

    /// A text of the body, by its path.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}
