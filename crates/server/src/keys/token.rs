//! Keys that an instance makes: `mck_<id>_<secret>`.

use data_encoding::HEXLOWER;
use memcloud_domain::{KeyHash, KeyId};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

const PREFIX: &str = "mck_";

/// A fresh key with its id and its hash.
pub(super) struct Made {
    pub(super) id: KeyId,
    pub(super) hash: KeyHash,
    pub(super) key: SecretString,
}

/// Makes a key with a secret of 256 bits.
pub(super) fn make() -> Made {
    let id = KeyId::of_bits(rand::random());
    let secret: [u8; 32] = rand::random();
    let key = format!("{PREFIX}{id}_{}", HEXLOWER.encode(&secret));
    Made { id, hash: hash(&key), key: key.into() }
}

/// Whether this has the form of a made key.
pub(super) fn is_made(key: &str) -> bool {
    key.starts_with(PREFIX)
}

/// The id that a made key names.
pub(super) fn id(key: &str) -> Option<KeyId> {
    let (id, _) = key.strip_prefix(PREFIX)?.split_once('_')?;
    id.parse().ok()
}

pub(super) fn hash(key: &str) -> KeyHash {
    KeyHash(Sha256::digest(key).into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_made_key_names_its_id_and_no_two_are_alike() {
        let (one, other) = (make(), make());
        let text = one.key.expose_secret();
        assert!(is_made(text) && text.len() == "mck_".len() + 12 + 1 + 64, "{text}");
        assert_eq!(id(text), Some(one.id));
        assert_eq!(hash(text), one.hash);
        assert_ne!(text, other.key.expose_secret());
    }

    #[test]
    fn other_keys_name_no_id() {
        for text in ["", "mck_", "mck_abc", "mck__secret", "mc_0123", "sk-0123", "mck_ä_x"] {
            assert_eq!(id(text), None, "{text}");
        }
    }
}
