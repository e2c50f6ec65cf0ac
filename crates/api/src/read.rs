//! Reads a typed body from JSON and reports every problem of it.

use std::ops::ControlFlow;

use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, MergeWithError, ValueKind, ValuePointerRef};
use serde_json::Value;

use crate::{Place, Problem};

/// The most problems that one answer reports. A body of megabytes may have millions.
pub const MAX_PROBLEMS: usize = 100;

/// Reads a body. Fields that `T` does not have are ignored.
pub fn read<T: Deserr<Problems>>(body: Value) -> Result<T, Problems> {
    deserr::deserialize(body)
}

/// The problems of a request, in the order of the fields, at most [`MAX_PROBLEMS`] of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem, unless the same one is there.
    pub fn push(&mut self, problem: Problem) {
        let is_new = |known: &Problem| known.loc != problem.loc || known.msg != problem.msg;
        if self.0.len() < MAX_PROBLEMS && self.0.iter().all(is_new) {
            self.0.push(problem);
        }
    }

    /// Takes the value, or notes the problem.
    pub fn take<T>(&mut self, read: Result<T, Problem>) -> Option<T> {
        read.map_err(|problem| self.push(problem)).ok()
    }

    /// Takes the value, or notes the problems.
    pub fn take_all<T>(&mut self, read: Result<T, Self>) -> Option<T> {
        read.map_err(|problems| self.extend(problems.0)).ok()
    }

    /// Succeeds when there is no problem.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Fills in the wrong values from the body that they are in.
    #[must_use]
    pub fn showing(mut self, body: &Value) -> Self {
        for problem in self.0.iter_mut().filter(|problem| problem.input.is_null()) {
            if let Some(input) = problem.loc.find(body) {
                *problem = problem.clone().showing(input);
            }
        }
        self
    }

    /// Each problem.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
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
        all.extend(more.0);
        if all.0.len() < MAX_PROBLEMS { ControlFlow::Continue(all) } else { ControlFlow::Break(all) }
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
