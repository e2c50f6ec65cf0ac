//! What all the APIs write alike: paths, names, numbers, labels.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// What may stay as it is within one segment of a path.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'@');

/// One segment of a path: a name that cannot leave its place in it.
pub(crate) struct Segment<'a>(pub(crate) &'a str);

impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        utf8_percent_encode(self.0, ESCAPED).fmt(f)
    }
}

/// A whole number of 64 bits, which Google writes as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Int64(pub i64);

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Int64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, as a number or a string")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Int64, E> {
                Ok(Int64(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Int64, E> {
                i64::try_from(number).map(Int64).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Int64, E> {
                text.parse().map(Int64).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Number)
    }
}

/// Whether two names are those of one resource. Google often answers with the number of a project where its id was sent, or
/// with the whole address of the resource.
pub fn same_name(one: &str, other: &str) -> bool {
    fn within_project(name: &str) -> &str {
        let name = name.trim_start_matches('/');
        let from_project = match name.find("projects/") {
            Some(at) => &name[at + "projects/".len()..],
            None => return name,
        };
        from_project.split_once('/').map_or("", |(_, rest)| rest)
    }
    within_project(one) == within_project(other)
}

/// The last segment of a name.
pub(crate) fn last_segment(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
