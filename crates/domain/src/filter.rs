//! Filters: conditions on an episode, combined with and, or and not.
//!
//! A condition is true, false or unknown, as in SQL. A comparison with a value that is missing or null is unknown, and so
//! is its negation. An episode passes a filter that is true for it. [`Filter::matches`] is the reference that every index
//! must agree with.

use std::cmp::Ordering;

use serde_json::Value;

use crate::{Episode, Metadata, Timestamp};

/// Which episodes a search or a listing may return. The default passes every episode.
///
/// A filter is applied before ranking, so that better-ranked episodes it excludes never hide a match.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// True when all of these are true; so it is when there are none.
    All(Vec<Filter>),
    /// True when at least one of these is true.
    Any(Vec<Filter>),
    /// True when this is false. Unknown stays unknown.
    Not(Box<Filter>),
    /// True when the attribute passes the test.
    Condition(Attribute, Test),
}

/// What a condition reads of an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The id, as text.
    Id,
    /// The session.
    Session,
    /// The content. No index has it: candidates are read from the engine.
    Content,
    /// Who produced it.
    Producer,
    /// Who it was addressed to; empty text when it had no recipient.
    Recipient,
    /// The role of the producer; empty text when none was given.
    Role,
    /// The kind (`message` by default).
    Kind,
    /// When it happened.
    CreatedAt,
    /// A metadata value, by the path of keys from the outermost object inward.
    Metadata(Vec<String>),
}

/// What a condition demands of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// How the value compares with this one.
    Compare(Comparison, Scalar),
    /// The value equals one of these.
    In(Vec<Scalar>),
    /// The value is missing or null. Never unknown.
    IsNull,
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Whether an order of two values satisfies the operator. Values of different types are not equal and have no order.
    fn holds(self, order: Option<Ordering>) -> Option<bool> {
        match self {
            Self::Equal => Some(order == Some(Ordering::Equal)),
            Self::NotEqual => Some(order != Some(Ordering::Equal)),
            Self::Less => order.map(Ordering::is_lt),
            Self::LessOrEqual => order.map(Ordering::is_le),
            Self::Greater => order.map(Ordering::is_gt),
            Self::GreaterOrEqual => order.map(Ordering::is_ge),
        }
    }
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Text, compared code point by code point.
    Text(String),
    /// A number.
    Number(Number),
    /// A truth value; false is less than true.
    Bool(bool),
    /// A moment. A text that reads as a time compares with a moment by that time.
    Time(Timestamp),
}

impl Scalar {
    /// The scalar in a JSON value; `None` for null, lists and objects.
    pub fn of(value: &Value) -> Option<Self> {
        match Operand::of(value)? {
            Operand::Text(text) => Some(Self::Text(text.to_owned())),
            Operand::Number(number) => Some(Self::Number(number)),
            Operand::Bool(truth) => Some(Self::Bool(truth)),
            Operand::Time(moment) => Some(Self::Time(moment)),
            Operand::Structure => None,
        }
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A value that a test is applied to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand<'a> {
    /// Text.
    Text(&'a str),
    /// A number.
    Number(Number),
    /// A truth value.
    Bool(bool),
    /// A moment.
    Time(Timestamp),
    /// A list or an object: it is not null, differs from every scalar and has no order.
    Structure,
}

impl<'a> Operand<'a> {
    /// The operand in a JSON value; `None` for null.
    pub fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::String(text) => Some(Self::Text(text)),
            Value::Number(number) => Number::of(number).map(Self::Number),
            Value::Bool(truth) => Some(Self::Bool(*truth)),
            Value::Array(_) | Value::Object(_) => Some(Self::Structure),
        }
    }

    /// The order of two values of one type; `None` where the types differ.
    fn order(self, other: &Scalar) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Scalar::Text(b)) => Some(a.cmp(b.as_str())),
            (Self::Number(a), Scalar::Number(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Scalar::Bool(b)) => Some(a.cmp(b)),
            (Self::Time(a), Scalar::Time(b)) => Some(a.cmp(b)),
            (Self::Text(a), Scalar::Time(b)) => read_time(a).map(|a| a.cmp(b)),
            (Self::Time(a), Scalar::Text(b)) => read_time(b).map(|b| a.cmp(&b)),
            _ => None,
        }
    }
}

/// A longer text does not read as a time: no form of a time needs more bytes.
const LONGEST_TIME: usize = 64;

fn read_time(text: &str) -> Option<Timestamp> {
    if text.len() > LONGEST_TIME { None } else { text.parse().ok() }
}

impl Test {
    /// Whether a value passes; `None` when that is unknown. The value is `None` when it is missing or null.
    pub fn passes(&self, value: Option<Operand<'_>>) -> Option<bool> {
        match self {
            Self::Compare(comparison, scalar) => comparison.holds(value?.order(scalar)),
            Self::In(scalars) => {
                let value = value?;
                Some(scalars.iter().any(|scalar| value.order(scalar) == Some(Ordering::Equal)))
            }
            Self::IsNull => Some(value.is_none()),
        }
    }

    /// The same test for moments, with each text that reads as a time as that moment: texts are then read only once.
    #[must_use]
    pub fn for_moments(&self) -> Self {
        let moment = |scalar: &Scalar| match scalar {
            Scalar::Text(text) => read_time(text).map_or_else(|| scalar.clone(), Scalar::Time),
            other => other.clone(),
        };
        match self {
            Self::Compare(comparison, scalar) => Self::Compare(*comparison, moment(scalar)),
            Self::In(scalars) => Self::In(scalars.iter().map(moment).collect()),
            Self::IsNull => Self::IsNull,
        }
    }

    /// The values that the test compares with.
    pub fn scalars(&self) -> &[Scalar] {
        match self {
            Self::Compare(_, scalar) => std::slice::from_ref(scalar),
            Self::In(scalars) => scalars,
            Self::IsNull => &[],
        }
    }
}

/// A number of JSON. Integers of 64 bits, with and without sign, compare exactly with each other and with fractions.
///
/// Equal numbers have one representation: `3.0` is the integer 3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(Repr);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Repr {
    /// A whole number within `i64::MIN..=u64::MAX`.
    Integer(i128),
    /// Any other number; never NaN.
    Float(f64),
}

impl Number {
    const INTEGERS: std::ops::RangeInclusive<i128> = i64::MIN as i128..=u64::MAX as i128;

    /// The number of JSON.
    pub fn of(number: &serde_json::Number) -> Option<Self> {
        let integer = number.as_i64().map(Self::from).or_else(|| number.as_u64().map(Self::from));
        integer.or_else(|| number.as_f64().and_then(Self::of_float))
    }

    /// The number in a float; `None` for NaN.
    pub fn of_float(float: f64) -> Option<Self> {
        if float.is_nan() {
            return None;
        }
        // The cast saturates; what is out of the range of i128 is out of `INTEGERS`, too.
        let integer = float as i128;
        let whole = float.fract() == 0.0 && Self::INTEGERS.contains(&integer);
        Some(Self(if whole { Repr::Integer(integer) } else { Repr::Float(float) }))
    }

    /// The number as an integer of 64 bits, with or without sign, if it is one.
    pub fn as_integer(self) -> Option<i128> {
        if let Repr::Integer(integer) = self.0 { Some(integer) } else { None }
    }

    /// The nearest float.
    pub fn as_float(self) -> f64 {
        match self.0 {
            Repr::Integer(integer) => integer as f64,
            Repr::Float(float) => float,
        }
    }
}

impl From<i64> for Number {
    fn from(integer: i64) -> Self {
        Self(Repr::Integer(integer.into()))
    }
}

impl From<u64> for Number {
    fn from(integer: u64) -> Self {
        Self(Repr::Integer(integer.into()))
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        // The float is a fraction or beyond 64 bits, so no integer equals it.
        let integer_to_float = |integer: i128, float: f64| {
            if integer <= float.floor() as i128 { Ordering::Less } else { Ordering::Greater }
        };
        match (self.0, other.0) {
            (Repr::Integer(a), Repr::Integer(b)) => a.cmp(&b),
            (Repr::Float(a), Repr::Float(b)) => a.total_cmp(&b),
            (Repr::Integer(a), Repr::Float(b)) => integer_to_float(a, b),
            (Repr::Float(a), Repr::Integer(b)) => integer_to_float(b, a).reverse(),
        }
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Filter {
    /// The filter for an attribute that equals a value.
    pub fn equal(attribute: Attribute, value: impl Into<Scalar>) -> Self {
        Self::Condition(attribute, Test::Compare(Comparison::Equal, value.into()))
    }

    /// Whether this filter has no condition and passes every episode.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::All(filters) if filters.is_empty())
    }

    /// Whether this episode passes. The reference that every index of a filter must agree with.
    pub fn matches(&self, episode: &Episode) -> bool {
        self.truth(episode) == Some(true)
    }

    /// True, false, or `None` for unknown.
    fn truth(&self, episode: &Episode) -> Option<bool> {
        match self {
            Self::All(filters) => combine(filters, episode, false),
            Self::Any(filters) => combine(filters, episode, true),
            Self::Not(filter) => filter.truth(episode).map(|truth| !truth),
            Self::Condition(attribute, test) => {
                let id;
                test.passes(match attribute {
                    Attribute::Id => {
                        id = episode.id.to_string();
                        Some(Operand::Text(&id))
                    }
                    Attribute::Session => Some(Operand::Text(&episode.session)),
                    Attribute::Content => Some(Operand::Text(&episode.content)),
                    Attribute::Producer => Some(Operand::Text(&episode.producer)),
                    Attribute::Recipient => Some(Operand::Text(&episode.produced_for)),
                    Attribute::Role => Some(Operand::Text(&episode.role)),
                    Attribute::Kind => Some(Operand::Text(&episode.kind)),
                    Attribute::CreatedAt => Some(Operand::Time(episode.created_at)),
                    Attribute::Metadata(path) => {
                        metadata_value(&episode.metadata, path).and_then(Operand::of)
                    }
                })
            }
        }
    }
}

/// `decisive` if any of the filters is, its opposite if all are the opposite, else unknown.
fn combine(filters: &[Filter], episode: &Episode, decisive: bool) -> Option<bool> {
    let mut combined = Some(!decisive);
    for filter in filters {
        match filter.truth(episode) {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => combined = None,
        }
    }
    combined
}

fn metadata_value<'a>(metadata: &'a Metadata, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(metadata.get(first)?, |value, key| value.as_object()?.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn number(value: &Value) -> Number {
        Number::of(value.as_number().unwrap()).unwrap()
    }

    #[test]
    fn integers_of_64_bits_compare_exactly() {
        let ascending = [
            json!(-1e300),
            json!(i64::MIN),
            json!(-1.5),
            json!(-1),
            json!(0),
            json!(0.5),
            json!(9_007_199_254_740_992_i64),
            json!(9_007_199_254_740_993_i64),
            json!(1_234_567_890_123_456_788_i64),
            json!(1_234_567_890_123_456_789_i64),
            json!(i64::MAX),
            json!(9_223_372_036_854_775_808_u64),
            json!(u64::MAX),
            json!(18_446_744_073_709_551_616.0),
            json!(1e300),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(number(a).cmp(&number(b)), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(number(&json!(3)), number(&json!(3.0)));
        assert_eq!(number(&json!(0)), number(&json!(-0.0)));
        assert_eq!(Number::of_float(f64::NAN), None);
    }

    #[test]
    fn a_comparison_with_a_missing_value_is_unknown() {
        let equal = Test::Compare(Comparison::Equal, "x".into());
        assert_eq!(equal.passes(None), None);
        assert_eq!(Test::In(vec![]).passes(None), None);
        assert_eq!(Test::IsNull.passes(None), Some(true));
        assert_eq!(Test::IsNull.passes(Some(Operand::Structure)), Some(false));
    }

    #[test]
    fn values_of_different_types_differ_and_have_no_order() {
        let three = || Scalar::Number(3_i64.into());
        for value in [Operand::Text("3"), Operand::Bool(true), Operand::Structure] {
            let compared = |comparison| Test::Compare(comparison, three()).passes(Some(value));
            assert_eq!(compared(Comparison::Equal), Some(false));
            assert_eq!(compared(Comparison::NotEqual), Some(true));
            assert_eq!(compared(Comparison::Less), None);
            assert_eq!(Test::In(vec![three()]).passes(Some(value)), Some(false));
        }
    }

    #[test]
    fn a_text_with_the_form_of_a_time_compares_with_a_time() {
        let noon: Timestamp = "2026-05-08T12:00:00Z".parse().unwrap();
        let since = Test::Compare(Comparison::GreaterOrEqual, Scalar::Time(noon));
        for (text, passes) in
            [("2026-05-08T14:00:00+02:00", Some(true)), ("2026-05-08", Some(false)), ("yesterday", None)]
        {
            assert_eq!(since.passes(Some(Operand::Text(text))), passes, "{text}");
        }
        let from = Test::Compare(Comparison::Less, "2026-05-09".into());
        assert_eq!(from.passes(Some(Operand::Time(noon))), Some(true));
    }

    fn numbers() -> impl Strategy<Value = Number> {
        let near = (any::<i64>(), -2.0..2.0).prop_map(|(n, d)| Number::of_float(n as f64 + d).unwrap());
        let floats = any::<f64>().prop_filter_map("NaN", Number::of_float);
        prop_oneof![any::<i64>().prop_map(Number::from), any::<u64>().prop_map(Number::from), near, floats]
    }

    proptest! {
        #[test]
        fn numbers_are_totally_ordered(a in numbers(), b in numbers(), c in numbers()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            let mut sorted = [a, b, c];
            sorted.sort();
            prop_assert!(sorted[0] <= sorted[2]);
            // Rounding to a float never swaps two numbers.
            prop_assert!(sorted[0].as_float() <= sorted[1].as_float());
        }
    }
}
