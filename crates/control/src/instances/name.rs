use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes: what is left of the 63 of a DNS label and of the names of clouds after a prefix and a suffix.
const MAX_BYTES: usize = 40;

/// What people call an instance: 1 to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

/// Not a name of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name of an instance has 1 to {MAX_BYTES} lower-case letters, digits and hyphens, with a letter or digit at both ends"
)]
pub struct InvalidName;

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let fits = (1..=MAX_BYTES).contains(&text.len());
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let plain = text.bytes().all(|byte| is_plain(byte) || byte == b'-');
        let closed = !text.starts_with('-') && !text.ends_with('-');
        if fits && plain && closed { Ok(Self(text.into())) } else { Err(InvalidName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels() {
        for name in ["a", "team-memory", "0", &"x".repeat(40)] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
        for name in
            ["", "-a", "a-", "A", "../x", "a b", "🦀", "a.b", "a\n", &"x".repeat(41), &"x".repeat(300)]
        {
            assert_eq!(name.parse::<Name>(), Err(InvalidName), "{name}");
        }
    }
}
