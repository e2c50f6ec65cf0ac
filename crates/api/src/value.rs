//! Values that JSON has and Rust has not.

use deserr::{DeserializeError, Deserr, IntoValue, Value as Given, ValuePointerRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Problem;
use crate::read::{Problems, place};

/// A JSON object with any fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(pub Map<String, Value>);

impl Deserr<Problems> for Object {
    fn deserialize_from_value<V: IntoValue>(value: Given<V>, at: ValuePointerRef) -> Result<Self, Problems> {
        match Value::from(value) {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(Problem::wrong_type(place(at), "dict_type", "a valid dictionary").into()),
        }
    }
}

/// A name that is not empty. Only its schema is used.
#[derive(ToSchema)]
#[schema(value_type = String, min_length = 1)]
#[expect(dead_code, reason = "describes the items of lists")]
pub(crate) struct Name(String);

/// A whole number. One beyond 64 bits becomes the nearest within, so that a rule refuses it as out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Integer(pub i64);

impl Deserr<Problems> for Integer {
    fn deserialize_from_value<V: IntoValue>(value: Given<V>, at: ValuePointerRef) -> Result<Self, Problems> {
        match value {
            Given::Integer(number) => Ok(Self(i64::try_from(number).unwrap_or(i64::MAX))),
            Given::NegativeInteger(number) => Ok(Self(number)),
            // The cast saturates.
            Given::Float(number) if number.fract() == 0.0 => Ok(Self(number as i64)),
            _ => Err(Problem::wrong_type(place(at), "int_type", "a valid integer").into()),
        }
    }
}

/// A field where it matters whether it is null or absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Nullable<T> {
    /// The field is not there.
    #[default]
    Absent,
    /// The field is null.
    Null,
    /// The field has a value.
    Value(T),
}

impl<T> Nullable<T> {
    /// Whether the field is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<T: Deserr<E>, E: DeserializeError> Deserr<E> for Nullable<T> {
    fn deserialize_from_value<V: IntoValue>(value: Given<V>, at: ValuePointerRef) -> Result<Self, E> {
        let value = Option::<T>::deserialize_from_value(value, at)?;
        Ok(value.map_or(Self::Null, Self::Value))
    }
}

impl<T: Serialize> Serialize for Nullable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Absent | Self::Null => serializer.serialize_none(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<T>::deserialize(deserializer)?;
        Ok(value.map_or(Self::Null, Self::Value))
    }
}
