//! The keys that open an instance.

use std::fmt;
use std::net::IpAddr;

use memcloud_domain::{Caller, KeyId};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use thiserror::Error;

const HASH_PREFIX: &str = "sha256:";

/// The keys that open an instance, kept as SHA-256 hashes only.
#[derive(Clone, Default)]
pub struct ApiKeys {
    hashes: Vec<[u8; 32]>,
}

/// Not a key. The key itself is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadKey {
    /// There is nothing in it.
    #[error("an API key is empty")]
    Empty,
    /// It has a character that no `Authorization` header can carry.
    #[error("an API key holds a space or another character that no header carries")]
    NotAToken,
    /// It begins with `sha256:` but no SHA-256 follows.
    #[error("'sha256:' must be followed by the 64 hexadecimal digits of a key's SHA-256")]
    BadHash,
}

/// An instance that anyone on the network could use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "listening on {address} without an API key would give the memory to the whole network; \
     set MEMCLOUD_API_KEYS, or listen on 127.0.0.1"
)]
pub struct Exposed {
    /// The address that was to be listened on.
    pub address: IpAddr,
}

/// Refuses to let an instance without keys be reached from other machines.
pub fn require_key_beyond_loopback(address: IpAddr, keys: &ApiKeys) -> Result<(), Exposed> {
    if keys.is_empty() && !address.to_canonical().is_loopback() { Err(Exposed { address }) } else { Ok(()) }
}

impl ApiKeys {
    /// No keys: only callers on this machine are served.
    pub fn none() -> Self {
        Self::default()
    }

    /// These keys, each plain or as `sha256:<hex>`.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a SecretString>) -> Result<Self, BadKey> {
        let hashes = keys.into_iter().map(|key| hash(key.expose_secret())).collect::<Result<_, _>>()?;
        Ok(Self { hashes })
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
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
        (number > 0).then(|| Caller::unlimited(KeyId::of_settings(number as usize)))
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
        Some(hex) => unhex(hex).ok_or(BadKey::BadHash),
        None => Ok(Sha256::digest(key).into()),
    }
}

fn unhex(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> Result<ApiKeys, BadKey> {
        let keys: Vec<SecretString> = keys.iter().map(|&key| key.into()).collect();
        ApiKeys::new(&keys)
    }

    #[test]
    fn admits_its_keys_and_no_others() {
        let keys = keys(&["first-key", "second-key"]).unwrap();
        for (key, id) in [("first-key", "settings-1"), ("second-key", "settings-2")] {
            assert_eq!(keys.caller(key).unwrap().id().as_str(), id);
        }
        assert!(["", "first-ke", "first-key "].iter().all(|key| keys.caller(key).is_none()));
        assert!(ApiKeys::none().caller("").is_none());
    }

    #[test]
    fn takes_a_stored_hash_but_does_not_admit_it() {
        let stored = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let keys = keys(&[stored]).unwrap();
        assert!(keys.caller("secret").is_some());
        assert!(keys.caller(stored).is_none());
    }

    #[test]
    fn refuses_what_is_no_key() {
        assert_eq!(keys(&[""]).unwrap_err(), BadKey::Empty);
        assert_eq!(keys(&["two words"]).unwrap_err(), BadKey::NotAToken);
        assert_eq!(keys(&["sha256:abc"]).unwrap_err(), BadKey::BadHash);
        assert_eq!(keys(&[&format!("sha256:{}", "g".repeat(64))]).unwrap_err(), BadKey::BadHash);
    }

    #[test]
    fn never_shows_a_key() {
        assert_eq!(format!("{:?}", keys(&["first-key"]).unwrap()), "ApiKeys(1 hidden)");
    }

    #[test]
    fn only_loopback_goes_without_a_key() {
        for (address, open) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.7", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(require_key_beyond_loopback(address, &ApiKeys::none()).is_ok(), open, "{address}");
            assert!(require_key_beyond_loopback(address, &keys(&["a-key"]).unwrap()).is_ok());
        }
    }
}
