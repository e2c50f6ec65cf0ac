//! Metadata values as the index keeps them: bytes that are equal exactly when the paths or values are.

use memcloud_domain::{Metadata, Number, Operand};
use serde_json::Value;

/// Of a longer text only the beginning is kept, in bytes. A filter that compares with a text this long reads the
/// episodes; see [`Kept::Beginning`].
const LONGEST_TEXT: usize = 128;

/// The values in an episode's metadata, each with its path of keys. Objects are entered, lists are not; nulls are
/// left out.
///
/// One after the other: the number of keys, each key with its length, a tag and the value. Lengths are LEB128.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties(Vec<u8>);

/// A value as it is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kept<'a> {
    /// The whole value.
    Whole(Operand<'a>),
    /// The beginning of a longer text.
    Beginning(&'a str),
}

const TEXT: u8 = 1;
const BEGINNING: u8 = 2;
const SIGNED: u8 = 3;
const UNSIGNED: u8 = 4;
const FLOAT: u8 = 5;
const FALSE: u8 = 6;
const TRUE: u8 = 7;
const STRUCTURE: u8 = 8;

impl Properties {
    /// The properties of this metadata.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let mut properties = Self::default();
        properties.add(metadata, &mut Vec::new());
        properties
    }

    fn add<'a>(&mut self, object: &'a Metadata, path: &mut Vec<&'a str>) {
        for (key, value) in object {
            let Some(operand) = Operand::of(value) else { continue };
            path.push(key);
            write_path(path, &mut self.0);
            write_value(operand, &mut self.0);
            if let Value::Object(inner) = value {
                self.add(inner, path);
            }
            path.pop();
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What [`as_bytes`](Self::as_bytes) gave; `None` when it is anything else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let value;
            (_, rest) = split_path(rest)?;
            (value, rest) = split_value(rest)?;
            read_value(value)?;
        }
        Some(Self(bytes.to_vec()))
    }

    /// Each encoded path with its encoded value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (path, after) = split_path(rest)?;
            let (value, after) = split_value(after)?;
            rest = after;
            Some((path, value))
        })
    }
}

/// A path, encoded.
pub(crate) fn encode_path(path: &[impl AsRef<str>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_path(path, &mut bytes);
    bytes
}

/// A value, encoded. A long text gives what is kept of it.
pub(crate) fn encode_value(operand: Operand<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_value(operand, &mut bytes);
    bytes
}

/// The value in these bytes; `None` when [`encode_value`] did not write them.
pub(crate) fn read_value(bytes: &[u8]) -> Option<Kept<'_>> {
    let (&tag, payload) = bytes.split_first()?;
    let text = || std::str::from_utf8(split_sized(payload)?.0).ok();
    let number = payload.as_array::<8>().copied();
    Some(Kept::Whole(match tag {
        TEXT => Operand::Text(text()?),
        BEGINNING => return Some(Kept::Beginning(text()?)),
        SIGNED => Operand::Number(i64::from_le_bytes(number?).into()),
        UNSIGNED => Operand::Number(u64::from_le_bytes(number?).into()),
        FLOAT => Operand::Number(Number::of_float(f64::from_le_bytes(number?))?),
        FALSE => Operand::Bool(false),
        TRUE => Operand::Bool(true),
        STRUCTURE => Operand::Structure,
        _ => return None,
    }))
}

fn write_path(path: &[impl AsRef<str>], bytes: &mut Vec<u8>) {
    write_length(path.len(), bytes);
    for key in path {
        write_sized(key.as_ref(), bytes);
    }
}

fn write_value(operand: Operand<'_>, bytes: &mut Vec<u8>) {
    match operand {
        Operand::Text(text) if text.len() <= LONGEST_TEXT => {
            bytes.push(TEXT);
            write_sized(text, bytes);
        }
        Operand::Text(text) => {
            bytes.push(BEGINNING);
            write_sized(&text[..text.floor_char_boundary(LONGEST_TEXT)], bytes);
        }
        Operand::Number(number) => {
            let (tag, payload) = number_bytes(number);
            bytes.push(tag);
            bytes.extend(payload);
        }
        Operand::Bool(false) => bytes.push(FALSE),
        Operand::Bool(true) => bytes.push(TRUE),
        // JSON has no times; a scalar of a filter that is one equals no kept value byte by byte.
        Operand::Structure | Operand::Time(_) => bytes.push(STRUCTURE),
    }
}

fn number_bytes(number: Number) -> (u8, [u8; 8]) {
    let Some(integer) = number.as_integer() else {
        return (FLOAT, number.as_float().to_le_bytes());
    };
    let unsigned = |_| (UNSIGNED, (integer as u64).to_le_bytes());
    i64::try_from(integer).map_or_else(unsigned, |signed| (SIGNED, signed.to_le_bytes()))
}

pub(crate) fn write_sized(text: &str, bytes: &mut Vec<u8>) {
    write_length(text.len(), bytes);
    bytes.extend(text.as_bytes());
}

fn write_length(mut length: usize, bytes: &mut Vec<u8>) {
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

fn split_path(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (keys, mut rest) = split_length(bytes)?;
    for _ in 0..keys {
        (_, rest) = split_sized(rest)?;
    }
    Some(bytes.split_at(bytes.len() - rest.len()))
}

fn split_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&tag, payload) = bytes.split_first()?;
    let rest = match tag {
        TEXT | BEGINNING => split_sized(payload)?.1,
        SIGNED | UNSIGNED | FLOAT => payload.get(8..)?,
        _ => payload,
    };
    Some(bytes.split_at(bytes.len() - rest.len()))
}

/// Bytes that follow their length, and what follows them.
pub(crate) fn split_sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = split_length(bytes)?;
    rest.split_at_checked(length)
}

fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (place, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((length, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn objects_are_entered_and_nulls_left_out() {
        let metadata = json!({"a": {"b": {"c": 1}, "d": null}, "e": [1], "f": "x".repeat(200), "": true});
        let properties = Properties::of(metadata.as_object().unwrap());
        let paths: Vec<&[u8]> = properties.iter().map(|(path, _)| path).collect();
        let expected: [&[&str]; 6] = [&["a"], &["a", "b"], &["a", "b", "c"], &["e"], &["f"], &[""]];
        assert_eq!(paths, expected.map(encode_path));
        let values: Vec<_> = properties.iter().map(|(_, value)| read_value(value).unwrap()).collect();
        assert_eq!(values[2], Kept::Whole(Operand::Number(1_i64.into())));
        assert_eq!(values[3], Kept::Whole(Operand::Structure));
        assert_eq!(values[4], Kept::Beginning(&"x".repeat(128)));
        assert_eq!(Properties::from_bytes(properties.as_bytes()), Some(properties));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(0..12_u8, 0..40)) {
            if let Some(properties) = Properties::from_bytes(&bytes) {
                let read: usize = properties.iter().map(|(path, value)| path.len() + value.len()).sum();
                prop_assert_eq!(read, bytes.len());
            }
        }

        #[test]
        fn numbers_have_one_encoding(n in any::<i64>(), m in any::<u64>()) {
            for number in [Number::from(n), Number::from(m), Number::of_float(n as f64 / 8.0).unwrap()] {
                let value = encode_value(Operand::Number(number));
                prop_assert_eq!(read_value(&value), Some(Kept::Whole(Operand::Number(number))));
            }
        }
    }
}
