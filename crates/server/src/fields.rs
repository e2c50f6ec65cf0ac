//! Reads typed fields out of JSON and of query strings, and says exactly which one is wrong.

use std::collections::HashMap;
use std::fmt;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use memcloud_domain::{Field, Rule, Violation};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::failure::Failure;
use crate::hint;

/// The most characters of a wrong value that are shown back.
const SHOWN: usize = 200;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The kind of problem: `missing`, `string_type`, `list_type`, `json_invalid`, …
    #[serde(rename = "type")]
    kind: &'static str,
    /// Where it is, from the outside in.
    loc: Vec<Step>,
    /// What is wrong, in words.
    msg: String,
    /// What was given instead, cut when long.
    input: Value,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Step {
    Name(&'static str),
    Key(String),
    Index(usize),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self.loc.iter().map(Step::to_string).collect();
        write!(f, "{}: {}", steps.join("."), self.msg)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => index.fmt(f),
        }
    }
}

/// Where in a request something stands.
#[derive(Clone, Debug)]
pub(crate) struct Place(Vec<Step>);

impl Place {
    pub(crate) fn body() -> Self {
        Self(vec![Step::Name("body")])
    }

    pub(crate) fn query() -> Self {
        Self(vec![Step::Name("query")])
    }

    pub(crate) fn path(name: &'static str) -> Self {
        Self(vec![Step::Name("path"), Step::Name(name)])
    }

    pub(crate) fn header(name: &'static str) -> Self {
        Self(vec![Step::Name("header"), Step::Name(name)])
    }

    /// Where the field of a broken rule is.
    pub(crate) fn of(violation: &Violation) -> Self {
        match violation.field {
            Field::Space | Field::Organisation => Self::body().at("group_id"),
            Field::Session => Self::body().at("session_id"),
            Field::User => Self::body().at("user_id"),
            Field::Agent => Self::body().at("agent_id"),
            Field::Producer => Self::body().at("producer"),
            Field::Recipient => Self::body().at("produced_for"),
            Field::Role => Self::body().at("role"),
            Field::Kind => Self::body().at("episode_type"),
            Field::Content => Self::body().at("episode_content"),
            Field::Metadata => Self::body().at("metadata"),
            Field::Timestamp => Self::body().at("timestamp"),
            Field::Query => Self::body().at("query"),
            Field::Filter => Self::body().at("filter"),
            Field::Limit => Self::body().at("limit"),
            Field::Episode | Field::Fact => Self::path("id"),
            Field::IdempotencyKey => Self::header("Idempotency-Key"),
        }
    }

    pub(crate) fn at(&self, name: &'static str) -> Self {
        self.then(Step::Name(name))
    }

    pub(crate) fn under(&self, key: &str) -> Self {
        self.then(Step::Key(shortened(key)))
    }

    pub(crate) fn item(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }

    /// What stands here is refused by the memory's own rules.
    pub(crate) fn refuse(self, violation: &Violation, input: &Value) -> Failure {
        let code = violation.code();
        self.wrong("value_error", violation.to_string(), input, code, hint::of_code(code))
    }

    /// What stands here is refused.
    pub(crate) fn wrong(
        self,
        kind: &'static str,
        msg: impl Into<String>,
        input: &Value,
        code: &'static str,
        hint: &'static str,
    ) -> Failure {
        let problem = Problem { kind, loc: self.0, msg: msg.into(), input: shown(input) };
        Failure::invalid(problem, code, hint)
    }

    /// The text that should stand here.
    pub(crate) fn text(self, value: Value) -> Result<String, Failure> {
        text(value, || self)
    }

    /// What stands here cannot be compared with.
    pub(crate) fn no_scalar(self, input: &Value) -> Failure {
        self.wrong_type("scalar_type", "a string, a number or a boolean", input)
    }

    /// How many results are asked for here, between 1 and `max`; the usual number when nothing is said.
    pub(crate) fn limit(self, given: Option<i64>, usual: usize, max: usize) -> Result<usize, Failure> {
        let Some(given) = given else { return Ok(usual.min(max)) };
        match usize::try_from(given) {
            Ok(limit) if (1..=max).contains(&limit) => Ok(limit),
            _ => {
                let violation = Violation::new(Field::Limit, Rule::OutOfRange { given, max });
                Err(self.refuse(&violation, &Value::from(given)))
            }
        }
    }

    fn missing(self, input: &Value) -> Failure {
        self.wrong("missing", "Field required", input, "missing_field", "send this field")
    }

    fn wrong_type(self, kind: &'static str, wanted: &str, input: &Value) -> Failure {
        let msg = format!("Input should be {wanted}");
        self.wrong(
            kind,
            msg,
            input,
            "wrong_type",
            "send a value of the type that GET /openapi.json gives for this field",
        )
    }
}

/// The fields of a JSON object, each to be taken once. Fields nobody takes are ignored.
#[derive(Debug)]
pub(crate) struct Fields {
    map: Map<String, Value>,
    place: Place,
}

impl Fields {
    /// The fields of the object that should stand here.
    pub(crate) fn of(value: Value, place: Place) -> Result<Self, Failure> {
        match value {
            Value::Object(map) => Ok(Self { map, place }),
            other => Err(place.wrong_type("dict_type", "a valid dictionary", &other)),
        }
    }

    /// All fields as they are.
    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.map
    }

    /// The place of a field.
    pub(crate) fn place(&self, key: &'static str) -> Place {
        self.place.at(key)
    }

    /// Whether the field is there, be it null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Whether the field is there and not null.
    pub(crate) fn has_value(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// The field as it is, left where it is.
    pub(crate) fn peek(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    /// The field as it is; `None` when absent or null.
    pub(crate) fn value(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    /// A text; `None` when absent.
    pub(crate) fn text(&mut self, key: &'static str) -> Result<Option<String>, Failure> {
        self.map.remove(key).map(|value| text(value, || self.place.at(key))).transpose()
    }

    /// A text; `None` when absent or null.
    pub(crate) fn optional_text(&mut self, key: &'static str) -> Result<Option<String>, Failure> {
        self.value(key).map(|value| text(value, || self.place.at(key))).transpose()
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, key: &'static str) -> Result<String, Failure> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// A list of texts; empty when absent or null.
    pub(crate) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, Failure> {
        let Some(value) = self.value(key) else {
            return Ok(vec![]);
        };
        let place = self.place.at(key);
        let items = list(value, &place)?;
        items.into_iter().enumerate().map(|(i, item)| text(item, || place.item(i))).collect()
    }

    /// A list that must be there.
    pub(crate) fn required_list(&mut self, key: &'static str) -> Result<Vec<Value>, Failure> {
        let value = self.map.remove(key).ok_or_else(|| self.missing(key))?;
        list(value, &self.place.at(key))
    }

    /// An object; `None` when absent or null.
    pub(crate) fn object(&mut self, key: &'static str) -> Result<Option<Map<String, Value>>, Failure> {
        Ok(self.nested(key)?.map(|fields| fields.map))
    }

    /// An object with fields of its own; `None` when absent or null.
    pub(crate) fn nested(&mut self, key: &'static str) -> Result<Option<Self>, Failure> {
        self.value(key).map(|value| Self::of(value, self.place.at(key))).transpose()
    }

    /// A whole number; `None` when absent or null. One beyond 64 bits becomes the nearest within.
    pub(crate) fn integer(&mut self, key: &'static str) -> Result<Option<i64>, Failure> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        whole(&value)
            .map(Some)
            .ok_or_else(|| self.place.at(key).wrong_type("int_type", "a valid integer", &value))
    }

    /// A truth value; `false` when absent or null.
    pub(crate) fn truth(&mut self, key: &'static str) -> Result<bool, Failure> {
        match self.value(key) {
            None => Ok(false),
            Some(Value::Bool(truth)) => Ok(truth),
            Some(other) => Err(self.place.at(key).wrong_type("bool_type", "a valid boolean", &other)),
        }
    }

    fn missing(&self, key: &'static str) -> Failure {
        self.place.at(key).missing(&Value::Object(self.map.clone()))
    }
}

/// The parameters of a query string. Of a repeated one the last counts.
pub(crate) struct QueryFields(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for QueryFields {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(map)| Self(map)).map_err(|_| {
            let query = Value::from(parts.uri.query());
            Place::query().wrong(
                "query_invalid",
                "this is no query string",
                &query,
                "invalid_query",
                "escape it",
            )
        })
    }
}

impl QueryFields {
    /// A text; `None` when absent or empty.
    pub(crate) fn text(&mut self, key: &'static str) -> Result<Option<String>, Failure> {
        let given = self.0.remove(key).filter(|text| !text.is_empty());
        given.map(|text| plain(text, || Place::query().at(key))).transpose()
    }

    /// A whole number; `None` when absent or empty.
    pub(crate) fn integer(&mut self, key: &'static str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match text.parse::<i128>() {
            Ok(number) => Ok(Some(number.clamp(i64::MIN.into(), i64::MAX.into()) as i64)),
            Err(_) => {
                Err(Place::query().at(key).wrong_type("int_parsing", "a valid integer", &Value::String(text)))
            }
        }
    }

    /// A truth value; `false` when absent, `true` when it stands there alone.
    pub(crate) fn truth(&mut self, key: &'static str) -> Result<bool, Failure> {
        match self.0.remove(key).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(other) => {
                Err(Place::query().at(key).wrong_type("bool_parsing", "a valid boolean", &Value::from(other)))
            }
        }
    }
}

/// The `{id}` of a path.
pub(crate) struct PathId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let place = || Place::path("id");
        let Ok(Path(id)) = Path::<String>::from_request_parts(parts, state).await else {
            let path = Value::from(parts.uri.path());
            let hint = "escape it as UTF-8";
            return Err(place().wrong("string_unicode", "the id is not UTF-8", &path, "invalid_path", hint));
        };
        plain(id, place).map(Self)
    }
}

/// A text without NUL: no engine keeps one.
pub(crate) fn plain(text: String, place: impl FnOnce() -> Place) -> Result<String, Failure> {
    if text.contains('\0') {
        let error = Violation::new(Field::Content, Rule::NulCharacter);
        return Err(place().refuse(&error, &Value::String(text)));
    }
    Ok(text)
}

fn text(value: Value, place: impl FnOnce() -> Place) -> Result<String, Failure> {
    match value {
        Value::String(text) => plain(text, place),
        other => Err(place().wrong_type("string_type", "a valid string", &other)),
    }
}

fn list(value: Value, place: &Place) -> Result<Vec<Value>, Failure> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(place.clone().wrong_type("list_type", "a valid list", &other)),
    }
}

fn whole(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    if let Some(number) = number.as_i64() {
        return Some(number);
    }
    // The cast saturates, which is what a limit far out of range needs to be refused as one.
    number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64)
}

/// A wrong value as it is shown back.
fn shown(input: &Value) -> Value {
    match input {
        Value::Null | Value::Bool(_) | Value::Number(_) => input.clone(),
        Value::String(text) => Value::String(shortened(text)),
        Value::Array(_) | Value::Object(_) => {
            let text = input.to_string();
            if text.len() <= SHOWN { input.clone() } else { Value::String(shortened(&text)) }
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        Fields::of(value, Place::body()).unwrap()
    }

    fn told(failure: Failure) -> Value {
        serde_json::to_value(failure.into_body()).unwrap()
    }

    #[test]
    fn says_where_and_what_is_wrong() {
        let failure = fields(json!({"user_id": "bob"})).texts("user_id").unwrap_err();
        let expected = json!({
            "detail": [{
                "type": "list_type", "loc": ["body", "user_id"], "msg": "Input should be a valid list", "input": "bob"
            }],
            "code": "wrong_type",
            "hint": "send a value of the type that GET /openapi.json gives for this field",
        });
        assert_eq!(told(failure), expected);
        let failure = fields(json!({"user_id": ["bob", 7]})).texts("user_id").unwrap_err();
        assert_eq!(told(failure)["detail"][0]["loc"], json!(["body", "user_id", 1]));
    }

    #[test]
    fn shows_only_the_beginning_of_a_long_value() {
        let failure = fields(json!({"n": "é".repeat(5_000)})).integer("n").unwrap_err();
        assert_eq!(told(failure)["detail"][0]["input"].as_str().unwrap().chars().count(), SHOWN + 1);
        let failure = fields(json!({"n": vec![0; 5_000]})).text("n").unwrap_err();
        assert_eq!(told(failure)["detail"][0]["input"].as_str().unwrap().chars().count(), SHOWN + 1);
    }

    #[test]
    fn reads_whole_numbers_of_any_size() {
        for (given, read) in [
            (json!(5), 5),
            (json!(-5.0), -5),
            (json!(u64::MAX), i64::MAX),
            (json!(1e300), i64::MAX),
            (json!(-1e300), i64::MIN),
        ] {
            assert_eq!(fields(json!({"n": given})).integer("n").unwrap(), Some(read), "{given}");
        }
        for wrong in [json!("5"), json!(1.5), json!(true), json!([])] {
            assert!(fields(json!({"n": wrong})).integer("n").is_err(), "{wrong}");
        }
    }
}
