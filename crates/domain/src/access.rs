//! Who may do what: rights, the keys that carry them, and the caller that a key makes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::{Space, Timestamp};

/// What a caller may do. No right includes another.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownRight, parse_err_fn = UnknownRight::of)]
pub enum Right {
    /// Search, list and read.
    Read,
    /// Store and delete memories.
    Write,
    /// Manage keys and spaces.
    Admin,
}

impl Right {
    /// Every right there is.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The name, as callers write it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Not the name of a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a right is 'read', 'write' or 'admin'")]
pub struct UnknownRight;

impl UnknownRight {
    fn of(_: &str) -> Self {
        Self
    }
}

/// A set of rights.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u8);

impl Rights {
    /// All rights.
    pub const ALL: Self = Self(0b111);

    fn bit(right: Right) -> u8 {
        1 << right as u8
    }

    /// Whether this right is in the set.
    pub fn contains(self, right: Right) -> bool {
        self.0 & Self::bit(right) != 0
    }

    /// Whether there is no right in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rights of the set: read, write, admin.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.contains(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |set, right| set | Self::bit(right)))
    }
}

impl fmt::Display for Rights {
    /// The names, separated by blanks: the form that stores keep.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Right::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

impl FromStr for Rights {
    type Err = UnknownRight;

    fn from_str(names: &str) -> Result<Self, UnknownRight> {
        names.split_ascii_whitespace().map(str::parse).collect()
    }
}

/// Names a key without revealing it: 1 to 32 ASCII letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// The longest id, in bytes.
    const MAX_BYTES: usize = 32;

    /// The id that these 48 bits make; the bits above them are ignored.
    pub fn of_bits(bits: u64) -> Self {
        Self(format!("{:012x}", bits & 0xffff_ffff_ffff).into())
    }

    /// The id of the key that is the `number`th in the settings.
    pub fn of_settings(number: usize) -> Self {
        Self(format!("settings-{number}").into())
    }

    /// The id of the key by which a console manages the instance.
    pub fn of_console() -> Self {
        Self("console".into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if fits && is_plain { Ok(Self(text.into())) } else { Err(InvalidKeyId) }
    }
}

/// Not the id of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id has 1 to 32 letters, digits and hyphens")]
pub struct InvalidKeyId;

/// The SHA-256 of a key. It is never shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(hidden)")
    }
}

/// A key that an instance made and keeps, without the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Names the key in lists, logs and commands.
    pub id: KeyId,
    /// What its owner calls it.
    pub name: String,
    /// The SHA-256 of the whole key.
    pub hash: KeyHash,
    /// What it permits.
    pub rights: Rights,
    /// The spaces it opens; `None` for all, also for those that come later.
    pub spaces: Option<Vec<Space>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to within a few minutes; `None` if never.
    pub last_used_at: Option<Timestamp>,
    /// From when on it no longer opens anything; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; `None` if it was not.
    pub revoked_at: Option<Timestamp>,
}

/// Whether a key opens anything.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
#[strum(serialize_all = "lowercase")]
pub enum KeyState {
    /// It does.
    Live,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl ApiKey {
    /// What the key is at this moment. A revoked key stays revoked after its expiry.
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyState::Expired
        } else {
            KeyState::Live
        }
    }

    /// Whether it can manage all keys: it has the admin right in all spaces.
    pub fn manages_keys(&self) -> bool {
        self.rights.contains(Right::Admin) && self.spaces.is_none()
    }
}

/// Whether some of these keys are live, but none of those can manage keys.
pub fn lacks_admin(keys: &[ApiKey], now: Timestamp) -> bool {
    let mut live = keys.iter().filter(|key| key.state(now) == KeyState::Live).peekable();
    live.peek().is_some() && !live.any(ApiKey::manages_keys)
}

/// Who sent a request, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    id: KeyId,
    rights: Rights,
    spaces: Option<Arc<[Space]>>,
}

impl Caller {
    /// A caller with these rights, in all spaces.
    pub fn with_rights(id: KeyId, rights: Rights) -> Self {
        Self { id, rights, spaces: None }
    }

    /// The holder of a key that permits everything, in all spaces.
    pub fn unlimited(id: KeyId) -> Self {
        Self::with_rights(id, Rights::ALL)
    }

    /// A program on this machine, which needs no key where the instance has none. It may do everything.
    pub fn local() -> Self {
        Self::unlimited(KeyId("local".into()))
    }

    /// Names the caller in logs: the id of a key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Whether the caller has this right.
    pub fn may(&self, right: Right) -> bool {
        self.rights.contains(right)
    }

    /// The spaces that are open to the caller; `None` for all.
    pub fn spaces(&self) -> Option<&[Space]> {
        self.spaces.as_deref()
    }

    /// Whether this space is open to the caller.
    pub fn sees(&self, space: &Space) -> bool {
        self.spaces.as_ref().is_none_or(|spaces| spaces.contains(space))
    }

    /// The space, if it is open to the caller.
    pub fn enter(&self, space: Space) -> Result<Space, ForeignSpace> {
        if self.sees(&space) { Ok(space) } else { Err(ForeignSpace(space)) }
    }
}

impl From<&ApiKey> for Caller {
    fn from(key: &ApiKey) -> Self {
        Self { id: key.id.clone(), rights: key.rights, spaces: key.spaces.clone().map(Arc::from) }
    }
}

/// A space that is not open to the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this key does not open the space '{}'", .0.project)]
pub struct ForeignSpace(pub Space);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(spaces: Option<Vec<Space>>) -> ApiKey {
        ApiKey {
            id: "k1".parse().unwrap(),
            name: "test".into(),
            hash: KeyHash([7; 32]),
            rights: [Right::Read].into_iter().collect(),
            spaces,
            created_at: Timestamp::from_micros(0).unwrap(),
            last_used_at: None,
            expires_at: Timestamp::from_micros(100),
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_ends_at_its_expiry_and_at_its_revocation() {
        let at = |micros| Timestamp::from_micros(micros).unwrap();
        let mut key = key(None);
        assert_eq!(key.state(at(99)), KeyState::Live);
        assert_eq!(key.state(at(100)), KeyState::Expired);
        key.revoked_at = Some(at(5));
        assert_eq!(key.state(at(99)), KeyState::Revoked);
        assert_eq!(key.state(at(200)), KeyState::Revoked);
    }

    #[test]
    fn a_limited_caller_enters_its_own_spaces_only() {
        let (own, foreign) = (Space::new("universal", "own"), Space::new("universal", "foreign"));
        let caller = Caller::from(&key(Some(vec![own.clone()])));
        assert_eq!(caller.enter(own.clone()), Ok(own.clone()));
        assert_eq!(caller.enter(foreign.clone()), Err(ForeignSpace(foreign.clone())));
        assert!(!caller.sees(&Space { org: "other".into(), ..own }));
        assert!(caller.may(Right::Read) && !caller.may(Right::Write) && !caller.may(Right::Admin));
        assert!(Caller::from(&key(None)).sees(&foreign));
        assert!(!Caller::from(&key(Some(vec![]))).sees(&foreign), "a key for no space opens none");
    }

    #[test]
    fn a_hash_is_never_shown() {
        assert!(!format!("{:?}", key(None)).contains("7, 7"));
    }

    proptest! {
        #[test]
        fn rights_round_trip(rights in prop::collection::vec(prop::sample::select(&Right::ALL[..]), 0..4)) {
            let set: Rights = rights.iter().copied().collect();
            prop_assert_eq!(set.to_string().parse::<Rights>(), Ok(set));
            prop_assert!(Right::ALL.iter().all(|right| set.contains(*right) == rights.contains(right)));
        }

        #[test]
        fn a_key_id_is_read_or_refused(text in ".{0,40}|[a-z0-9-]{1,32}") {
            if let Ok(id) = text.parse::<KeyId>() {
                prop_assert_eq!(id.as_str(), text);
            }
        }
    }
}
