//! The keys that the settings name.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use memcloud_domain::{Caller, KeyId};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use thiserror::Error;

const HASH_PREFIX: &str = "sha256:";

/// The fewest characters of a key that guards an instance which other machines reach: 16 hexadecimal digits are 64 bits.
pub const MIN_KEY_CHARACTERS: usize = 16;

/// The keys that the settings name, kept as SHA-256 hashes only. Each permits everything in all spaces.
#[derive(Clone, Default)]
pub struct ApiKeys {
    hashes: Vec<[u8; 32]>,
    has_short: bool,
    console: Option<[u8; 32]>,
}

/// Not a key. The message never holds the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadKey {
    /// It is empty.
    #[error("an API key is empty")]
    Empty,
    /// It has a character that an `Authorization` header cannot carry.
    #[error("an API key has a space or another character that a header cannot carry")]
    NotAToken,
    /// It begins with `sha256:` but no SHA-256 follows.
    #[error("'sha256:' must be followed by the 64 hexadecimal digits of a key's SHA-256")]
    BadHash,
}

impl ApiKeys {
    /// No keys.
    pub fn none() -> Self {
        Self::default()
    }

    /// These keys, each plain or as `sha256:<hex>`.
    pub fn new(keys: &[SecretString]) -> Result<Self, BadKey> {
        let hashes = keys.iter().map(|key| hash(key.expose_secret())).collect::<Result<_, _>>()?;
        let is_short = |key: &SecretString| key.expose_secret().len() < MIN_KEY_CHARACTERS;
        Ok(Self { hashes, has_short: keys.iter().any(is_short), console: None })
    }

    /// The same with the key of a console, which permits everything and does not count as a key of the instance: without
    /// others, programs of this machine need none.
    pub fn with_console(self, key: &SecretString) -> Result<Self, BadKey> {
        Ok(Self { console: Some(hash(key.expose_secret())?), ..self })
    }

    /// Whether a console has a key.
    pub(super) fn has_console(&self) -> bool {
        self.console.is_some()
    }

    /// Whether there is no key at all, but perhaps that of a console.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether a key has fewer than [`MIN_KEY_CHARACTERS`]. Of a key that is given as its hash this is not known.
    pub fn has_short(&self) -> bool {
        self.has_short
    }

    /// The caller that holds this key, if it is one of the keys. Takes the same time whichever key it is, and whether
    /// or not it is one.
    pub fn caller(&self, key: &str) -> Option<Caller> {
        let given: [u8; 32] = Sha256::digest(key).into();
        let numbers = 1_u64..;
        let number =
            self.hashes.iter().zip(numbers).fold(0, |found, (hash, number)| {
                u64::conditional_select(&found, &number, hash.ct_eq(&given))
            });
        let is_console = self.console.is_some_and(|hash| hash.ct_eq(&given).into());
        match number {
            0 => is_console.then(|| Caller::unlimited(KeyId::of_console())),
            number => Some(Caller::unlimited(KeyId::of_settings(number as usize))),
        }
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({} hidden)", self.hashes.len())
    }
}

fn hash(key: &str) -> Result<[u8; 32], BadKey> {
    if key.is_empty() {
        return Err(BadKey::Empty);
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadKey::NotAToken);
    }
    match key.strip_prefix(HASH_PREFIX) {
        Some(hex) => {
            let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| BadKey::BadHash)?;
            bytes.try_into().map_err(|_| BadKey::BadHash)
        }
        None => Ok(Sha256::digest(key).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> Result<ApiKeys, BadKey> {
        let keys: Vec<SecretString> = keys.iter().map(|&key| key.into()).collect();
        ApiKeys::new(&keys)
    }

    #[test]
    fn only_its_own_keys_are_admitted() {
        let keys = keys(&["first-key", "second-key"]).unwrap();
        for (key, id) in [("first-key", "settings-1"), ("second-key", "settings-2")] {
            assert_eq!(keys.caller(key).unwrap().id().as_str(), id);
        }
        assert!(["", "first-ke", "first-key "].iter().all(|key| keys.caller(key).is_none()));
        assert!(ApiKeys::none().caller("").is_none());
    }

    #[test]
    fn a_hash_in_the_settings_admits_its_key_and_not_itself() {
        let stored = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let keys = keys(&[stored]).unwrap();
        assert!(keys.caller("secret").is_some());
        assert!(keys.caller(stored).is_none());
    }

    #[test]
    fn invalid_keys_are_refused() {
        assert_eq!(keys(&[""]).unwrap_err(), BadKey::Empty);
        assert_eq!(keys(&["two words"]).unwrap_err(), BadKey::NotAToken);
        assert_eq!(keys(&["sha256:abc"]).unwrap_err(), BadKey::BadHash);
        assert_eq!(keys(&[&format!("sha256:{}", "g".repeat(64))]).unwrap_err(), BadKey::BadHash);
    }

    #[test]
    fn short_keys_are_known_by_their_length() {
        assert!(keys(&["0123456789abcdef", "0123456789abcde"]).unwrap().has_short());
        let hash = format!("sha256:{}", "0".repeat(64));
        assert!(!keys(&["0123456789abcdef", &hash]).unwrap().has_short());
    }

    #[test]
    fn keys_are_never_shown() {
        assert_eq!(format!("{:?}", keys(&["first-key"]).unwrap()), "ApiKeys(1 hidden)");
    }
}
