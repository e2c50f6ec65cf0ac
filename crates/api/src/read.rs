//! Reads a typed body from JSON and reports every problem of it: of its types, and of the rules that its values break.

use std::ops::ControlFlow;

use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, MergeWithError, ValueKind, ValuePointerRef};
use memcloud_domain::Violation;
use serde_json::{Map, Value};

use crate::{Place, Problem};

/// The most problems that one answer reports. A body of megabytes may have millions.
pub const MAX_PROBLEMS: usize = 100;

/// The most times that [`read_rest`] reads a body again. A neutral value may need others inside it: no body is deeper.
const MAX_READS: usize = 8;

/// Reads a body. Fields that `T` does not have are ignored.
pub fn read<T: Deserr<Problems>>(body: Value) -> Result<T, Problems> {
    deserr::deserialize(body).map_err(|Problems { all, .. }| Problems { unread: all.len(), all })
}

/// Reads the rest of a body with these problems, so that its rules can be checked as well: a neutral value stands for
/// each one that cannot be read. Returns that body, too. `None` when there are as many problems as an answer reports.
pub fn read_rest<T: Deserr<Problems>>(mut body: Value, problems: &Problems) -> Option<(T, Value)> {
    let mut unread = problems.all.clone();
    for _ in 0..MAX_READS {
        if unread.len() >= MAX_PROBLEMS {
            break;
        }
        for problem in &unread {
            problem.loc.set(&mut body, neutral(problem));
        }
        match read(body.clone()) {
            Ok(value) => return Some((value, body)),
            Err(more) => unread = more.all,
        }
    }
    None
}

/// A value of the type that is missing, as far as that is known: a field that is not there is tried with null.
fn neutral(problem: &Problem) -> Value {
    match &*problem.kind {
        "string_type" => Value::from(""),
        "list_type" => Value::Array(vec![]),
        "dict_type" => Value::Object(Map::new()),
        "bool_type" => Value::from(false),
        "int_type" | "float_type" => Value::from(0),
        _ => Value::Null,
    }
}

/// The problems of a request, in the order of the fields, at most [`MAX_PROBLEMS`] of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Problems {
    all: Vec<Problem>,
    /// How many of them, the first ones, are of values that could not be read. Rules say nothing about such values.
    unread: usize,
}

impl Problems {
    /// What `check` makes of a request, or the problems that it finds.
    pub fn none_in<T>(check: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, Self> {
        Self::default().and_none_in(check)
    }

    /// What `check` makes of the request with these problems, or all of them with those that it finds.
    pub fn and_none_in<T>(mut self, check: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, Self> {
        let made = check(&mut self);
        made.filter(|_| self.all.is_empty()).ok_or(self)
    }

    /// Adds a problem, unless the same one is there, or the value or what contains it could not be read.
    pub fn push(&mut self, problem: Problem) {
        let is_same = |known: &Problem| known.loc == problem.loc && known.code == problem.code;
        let is_unread = |known: &Problem| problem.loc.is_in(&known.loc);
        let is_known = self.all.iter().any(is_same) || self.all[..self.unread].iter().any(is_unread);
        if self.all.len() < MAX_PROBLEMS && !is_known {
            self.all.push(problem);
        }
    }

    /// Takes the value, or notes the problem.
    pub fn take<T>(&mut self, read: Result<T, Problem>) -> Option<T> {
        read.map_err(|problem| self.push(problem)).ok()
    }

    /// Takes the value, or notes the broken rule at this place.
    pub fn take_at<T>(&mut self, loc: Place, checked: Result<T, Violation>) -> Option<T> {
        self.take(checked.map_err(|violation| Problem::of(&violation, loc)))
    }

    /// Takes the value, or notes the broken rules, each at its place.
    pub fn take_all<T>(
        &mut self,
        checked: Result<T, Vec<Violation>>,
        place: impl Fn(&Violation) -> Place,
    ) -> Option<T> {
        let note =
            |violations: Vec<Violation>| self.extend(violations.iter().map(|v| Problem::of(v, place(v))));
        checked.map_err(note).ok()
    }

    /// Whether there is a problem at this place or inside it.
    pub fn touch(&self, place: &Place) -> bool {
        self.all.iter().any(|problem| problem.loc.is_in(place))
    }

    /// Fills in the wrong values from the body that they are in.
    #[must_use]
    pub fn showing(mut self, body: &Value) -> Self {
        for problem in self.all.iter_mut().filter(|problem| problem.input.is_null()) {
            if let Some(input) = problem.loc.find(body) {
                *problem = problem.clone().showing(input);
            }
        }
        self
    }

    /// Each problem.
    pub fn into_vec(self) -> Vec<Problem> {
        self.all
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { all: vec![problem], unread: 0 }
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        let mut all = Self::default();
        all.extend(problems);
        all
    }
}

impl MergeWithError<Self> for Problems {
    fn merge(known: Option<Self>, more: Self, _at: ValuePointerRef) -> ControlFlow<Self, Self> {
        let mut all = known.unwrap_or_default();
        all.extend(more.all);
        if all.all.len() < MAX_PROBLEMS { ControlFlow::Continue(all) } else { ControlFlow::Break(all) }
    }
}

impl DeserializeError for Problems {
    fn error<V: IntoValue>(
        known: Option<Self>,
        error: ErrorKind<V>,
        at: ValuePointerRef,
    ) -> ControlFlow<Self, Self> {
        let problem = match error {
            ErrorKind::MissingField { field } => {
                Problem::new(place(at.push_key(field)), "missing", "Field required", "missing_field")
            }
            ErrorKind::IncorrectValueKind { accepted, .. } => wrong_kind(place(at), accepted),
            ErrorKind::Unexpected { msg } => Problem::new(place(at), "value_error", msg, "wrong_type"),
            ErrorKind::UnknownKey { .. }
            | ErrorKind::UnknownValue { .. }
            | ErrorKind::BadSequenceLen { .. } => {
                Problem::new(place(at), "value_error", "Input is not one of the valid values", "wrong_type")
            }
        };
        Self::merge(known, problem.into(), at)
    }
}

fn wrong_kind(loc: Place, accepted: &[ValueKind]) -> Problem {
    let (kind, wanted) = match accepted.first() {
        Some(ValueKind::String) => ("string_type", "a valid string"),
        Some(ValueKind::Sequence) => ("list_type", "a valid list"),
        Some(ValueKind::Boolean) => ("bool_type", "a valid boolean"),
        Some(ValueKind::Float) => ("float_type", "a valid number"),
        Some(ValueKind::Integer | ValueKind::NegativeInteger) => ("int_type", "a valid integer"),
        Some(ValueKind::Map | ValueKind::Null) | None => ("dict_type", "a valid dictionary"),
    };
    Problem::wrong_type(loc, kind, wanted)
}

/// The place in a body that a pointer names.
pub(crate) fn place(at: ValuePointerRef) -> Place {
    match at {
        ValuePointerRef::Origin => Place::body(),
        ValuePointerRef::Key { key, prev } => place(*prev).under(key),
        ValuePointerRef::Index { index, prev } => place(*prev).item(index),
    }
}
