//! One problem of a request and its place.

use std::fmt;

use memcloud_domain::Violation;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The most characters of a wrong value that an answer shows.
const SHOWN: usize = 200;

/// One problem of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem: `missing`, `string_type`, `list_type`, `json_invalid`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is, from the outside in.
    #[schema(value_type = Vec<Step>)]
    pub loc: Place,
    /// What is wrong, in words.
    pub msg: String,
    /// The value that is wrong, cut when long.
    #[schema(value_type = Value)]
    pub input: Box<Value>,
    /// The stable name of the error. The wire has one for the whole answer.
    #[serde(skip)]
    pub code: &'static str,
}

impl Problem {
    /// A problem whose `input` is not known yet.
    pub fn new(loc: Place, kind: &'static str, msg: impl Into<String>, code: &'static str) -> Self {
        Self { kind: kind.into(), loc, msg: msg.into(), input: Box::default(), code }
    }

    /// A rule of the memory that the request breaks here.
    pub fn of(violation: &Violation, loc: Place) -> Self {
        Self::new(loc, "value_error", violation.to_string(), violation.code())
    }

    /// A value of the wrong type: `wanted` names the right one.
    pub fn wrong_type(loc: Place, kind: &'static str, wanted: &str) -> Self {
        Self::new(loc, kind, format!("Input should be {wanted}"), "wrong_type")
    }

    /// This problem with the wrong value, cut when long.
    #[must_use]
    pub fn showing(self, input: &Value) -> Self {
        Self { input: Box::new(shown(input)), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.loc, self.msg)
    }
}

/// A place in a request, from the outside in: `["body", "session", "user_id", 1]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(Vec<Step>);

/// One step to a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Step {
    /// Into the field of this name.
    Name(String),
    /// Into the item of this number.
    Index(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => index.fmt(f),
        }
    }
}

impl Place {
    /// The whole body.
    pub fn body() -> Self {
        Self(vec![Step::Name("body".into())])
    }

    /// The query string.
    pub fn query() -> Self {
        Self(vec![Step::Name("query".into())])
    }

    /// A parameter of the path.
    pub fn path(name: &'static str) -> Self {
        Self(vec![Step::Name("path".into()), Step::Name(name.into())])
    }

    /// A header.
    pub fn header(name: &'static str) -> Self {
        Self(vec![Step::Name("header".into()), Step::Name(name.into())])
    }

    /// The steps to it. The first names the part of the request: `body`, `query`, `path` or `header`.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// A field inside this place.
    #[must_use]
    pub fn at(mut self, name: &'static str) -> Self {
        self.0.push(Step::Name(name.into()));
        self
    }

    /// A field inside this place whose name the client chose.
    #[must_use]
    pub fn under(mut self, name: &str) -> Self {
        self.0.push(Step::Name(excerpt(name)));
        self
    }

    /// An item of the list at this place.
    #[must_use]
    pub fn item(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    /// Whether this place is the other one or inside it.
    pub(crate) fn is_in(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Puts a value at this place of a body.
    pub(crate) fn set(&self, body: &mut Value, value: Value) {
        let mut found = Some(body);
        for step in self.0.iter().skip(1) {
            found = found.and_then(|found| match (step, found) {
                (Step::Name(name), Value::Object(map)) => {
                    Some(map.entry(name.as_str()).or_insert(Value::Null))
                }
                (Step::Index(index), Value::Array(items)) => items.get_mut(*index),
                _ => None,
            });
        }
        if let Some(found) = found {
            *found = value;
        }
    }

    /// The value at this place of a body. Of a field that is missing, the object that lacks it.
    pub(crate) fn find<'v>(&self, body: &'v Value) -> Option<&'v Value> {
        let mut found = body;
        let (first, steps) = self.0.split_first()?;
        if !matches!(first, Step::Name(name) if name == "body") {
            return None;
        }
        for step in steps {
            let next = match step {
                Step::Name(name) => found.get(name),
                Step::Index(index) => found.get(index),
            };
            match next {
                Some(value) => found = value,
                None => break,
            }
        }
        Some(found)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(".")?;
            }
            step.fmt(f)?;
        }
        Ok(())
    }
}

/// A wrong value as an answer shows it.
fn shown(input: &Value) -> Value {
    match input {
        Value::Null | Value::Bool(_) | Value::Number(_) => input.clone(),
        Value::String(text) => Value::String(excerpt(text)),
        Value::Array(_) | Value::Object(_) => {
            let text = input.to_string();
            if text.len() <= SHOWN { input.clone() } else { Value::String(excerpt(&text)) }
        }
    }
}

/// The beginning of a text, with `…` where it was cut.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
