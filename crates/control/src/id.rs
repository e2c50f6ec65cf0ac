//! The ids of what the control plane keeps: twelve hexadecimal digits, made at random.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Not an id of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to 32 letters, digits and hyphens")]
pub struct InvalidId;

const MAX_BYTES: usize = 32;

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// An id that no other thing has.
            pub fn random() -> Self {
                Self(format!("{:012x}", rand::random::<u64>() & 0xffff_ffff_ffff).into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let fits = (1..=MAX_BYTES).contains(&text.len());
                let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
                if fits && is_plain { Ok(Self(text.into())) } else { Err(InvalidId) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
    )+};
}

ids! {
    /// Names an instance.
    InstanceId;
    /// Names an operation.
    OperationId;
    /// Names an organization: those who share instances.
    OrganizationId;
    /// Names a user.
    UserId;
    /// Names a token without revealing it.
    TokenId;
}
