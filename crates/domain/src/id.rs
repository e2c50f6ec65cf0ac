use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Field, Timestamp, Violation};

/// The identity of one episode: a `UUIDv7`, so ids sort by the moment they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpisodeId(Uuid);

impl EpisodeId {
    /// A new id of the given moment. Ids of one moment sort by their `place`, up to 4,096 of them; the rest is random.
    pub fn new(at: Timestamp, place: u16) -> Self {
        let millis = u64::try_from(at.as_micros() / 1_000).unwrap_or(0);
        let nanos = (millis % 1_000) as u32 * 1_000_000;
        let moment = uuid::Timestamp::from_unix_time(millis / 1_000, nanos, u128::from(place), 12);
        Self(Uuid::new_v7(moment))
    }

    /// The 16 bytes that engines keep.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id kept in these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

/// The identity of a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryId(pub Uuid);

/// The identity of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagId(pub Uuid);

/// The identity of a type of sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetTypeId(pub Uuid);

/// Writes and reads ids as the text of their UUID. What is not one is a violation of this field.
macro_rules! text_of_uuid {
    ($($id:ident: $field:ident),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $id {
            type Err = Violation;

            fn from_str(text: &str) -> Result<Self, Violation> {
                Uuid::try_parse(text).map(Self).map_err(|_| Violation::invalid_id(Field::$field, text))
            }
        }
    )*};
}

text_of_uuid!(EpisodeId: Episode, CategoryId: Category, TagId: Tag, SetTypeId: SetType);
