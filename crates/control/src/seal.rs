//! Secrets at rest: XChaCha20-Poly1305 with a key that is not in the database.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};

const NONCE_BYTES: usize = 24;
/// The length of a sealing key, in bytes.
const KEY_BYTES: usize = 32;

/// A secret as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Names the key that opens it.
    pub key: String,
    /// The nonce, and the secret encrypted with its tag.
    pub bytes: Vec<u8>,
}

/// Why a secret cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed with a key that this process does not have.
    #[error("it was sealed with the key '{0}', which is not among the sealing keys")]
    UnknownKey(String),
    /// It was changed, or belongs to something else.
    #[error("it was changed since it was sealed, or moved from another place")]
    Changed,
    /// Not a sealing key.
    #[error("a sealing key has {KEY_BYTES} bytes: {} hexadecimal digits", 2 * KEY_BYTES)]
    NotAKey,
    /// There is no sealing key.
    #[error("there is no sealing key")]
    NoKey,
}

/// The keys that seal and open. The first one seals; each opens what it sealed, so that a key can be replaced while secrets
/// of the one before are still there.
pub struct Seal {
    keys: Vec<(String, SecretSlice<u8>)>,
}

impl Seal {
    /// From keys as hexadecimal digits, each on a line or after a comma; the first one seals.
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let keys = text.split([',', '\n']).map(str::trim).filter(|key| !key.is_empty());
        let keys = keys.map(|key| match HEXLOWER.decode(key.to_lowercase().as_bytes()) {
            Ok(key) if key.len() == KEY_BYTES => Ok((name_of(&key), key.into())),
            _ => Err(SealError::NotAKey),
        });
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(SealError::NoKey) } else { Ok(Self { keys }) }
    }

    /// A new key, as [`Self::from_text`] reads it.
    pub fn make_key() -> String {
        HEXLOWER.encode(&rand::random::<[u8; KEY_BYTES]>())
    }

    /// The name of the key that seals.
    pub fn current(&self) -> &str {
        self.keys.first().map_or("", |(name, _)| name)
    }

    /// Seals a secret of `owner`, which alone can open it again.
    pub fn seal(&self, owner: &str, secret: &[u8]) -> Result<Sealed, SealError> {
        let (name, key) = self.keys.first().ok_or(SealError::NoKey)?;
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: secret, aad: owner.as_bytes() };
        let encrypted =
            cipher(key)?.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Changed)?;
        Ok(Sealed { key: name.clone(), bytes: [&nonce[..], &encrypted].concat() })
    }

    /// Opens a secret of `owner`.
    pub fn open(&self, owner: &str, sealed: &Sealed) -> Result<SecretSlice<u8>, SealError> {
        let key = self.keys.iter().find(|(name, _)| *name == sealed.key).map(|(_, key)| key);
        let key = key.ok_or_else(|| SealError::UnknownKey(sealed.key.clone()))?;
        let (nonce, encrypted) = sealed.bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Changed)?;
        let payload = Payload { msg: encrypted, aad: owner.as_bytes() };
        let opened = cipher(key)?.decrypt(&XNonce::from(*nonce), payload);
        opened.map(SecretSlice::from).map_err(|_| SealError::Changed)
    }
}

fn cipher(key: &SecretSlice<u8>) -> Result<XChaCha20Poly1305, SealError> {
    XChaCha20Poly1305::new_from_slice(key.expose_secret()).map_err(|_| SealError::NotAKey)
}

/// The beginning of the key's hash: it names the key and does not reveal it.
fn name_of(key: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(key)[..6])
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(name, _)| name)).finish()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(with {})", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_owner_and_with_its_key_alone() {
        let seal = Seal::from_text(&Seal::make_key()).unwrap();
        let sealed = seal.seal("instance-1", b"password").unwrap();
        assert_eq!(seal.open("instance-1", &sealed).unwrap().expose_secret(), b"password");
        assert_eq!(seal.open("instance-2", &sealed).unwrap_err(), SealError::Changed);
        assert!(!sealed.bytes.windows(8).any(|window| window == b"password"));
        for byte in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[byte] ^= 1;
            assert_eq!(seal.open("instance-1", &changed).unwrap_err(), SealError::Changed);
        }
        let other = Seal::from_text(&Seal::make_key()).unwrap();
        assert_eq!(other.open("instance-1", &sealed).unwrap_err(), SealError::UnknownKey(sealed.key.clone()));
    }

    #[test]
    fn a_replaced_key_still_opens() {
        let (old, new) = (Seal::make_key(), Seal::make_key());
        let sealed = Seal::from_text(&old).unwrap().seal("i", b"secret").unwrap();
        let both = Seal::from_text(&format!("{new}\n{old}\n")).unwrap();
        assert_eq!(both.open("i", &sealed).unwrap().expose_secret(), b"secret");
        let again = both.seal("i", b"secret").unwrap();
        assert_eq!(again.key, both.current());
        assert!(Seal::from_text(&new).unwrap().open("i", &again).is_ok());
    }

    #[test]
    fn short_keys_and_none_are_refused() {
        assert_eq!(Seal::from_text(" \n,").unwrap_err(), SealError::NoKey);
        assert_eq!(Seal::from_text("abc").unwrap_err(), SealError::NotAKey);
        assert_eq!(Seal::from_text(&"0".repeat(62)).unwrap_err(), SealError::NotAKey);
    }
}
