//! The keys of an instance: those of the settings, and those that were made for its data directory.

use std::io::ErrorKind;
use std::path::Path;

use data_encoding::HEXLOWER;
use memcloud_server::ApiKeys;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::private_file;

/// The file of the data directory that holds the hashes of keys, one `sha256:<hex>` a line.
pub(crate) const FILE: &str = "api-keys";
const PREFIX: &str = "mc_";

/// All keys that an instance accepts.
pub(crate) fn accepted(given: &[SecretString], data_dir: &Path) -> Result<ApiKeys, Failure> {
    let mut keys = given.to_vec();
    keys.extend(made_before(&data_dir.join(FILE))?);
    ApiKeys::new(&keys).map_err(|error| {
        Failure::usage(
            error.to_string(),
            "correct MEMCLOUD_API_KEYS, or the file api-keys in the data directory",
        )
    })
}

/// Makes a key for this data directory and keeps its hash. The key itself is kept nowhere.
pub(crate) fn make(data_dir: &Path) -> Result<SecretString, Failure> {
    let key = format!("{PREFIX}{}", HEXLOWER.encode(&rand::random::<[u8; 32]>()));
    let line = format!("sha256:{}\n", HEXLOWER.encode(&Sha256::digest(&key)));
    let path = data_dir.join(FILE);
    private_file::replace(&path, line.as_bytes()).map_err(|error| Failure::file("write", &path, &error))?;
    Ok(key.into())
}

fn made_before(path: &Path) -> Result<Vec<SecretString>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let keys: Vec<_> = lines.map(SecretString::from).collect();
            if keys.is_empty() { Err(without_key(path)) } else { Ok(keys) }
        }
        // A link that leads nowhere is there: what it should lead to has keys.
        Err(error) if error.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => {
            Ok(Vec::new())
        }
        Err(error) => Err(Failure::file("read", path, &error)),
    }
}

/// A file that lost its keys must not open the instance to every program of the machine.
fn without_key(path: &Path) -> Failure {
    Failure::usage(
        format!("{} has no key", path.display()),
        "restore the file, or remove it where the instance shall accept no keys but those of MEMCLOUD_API_KEYS",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_made_key_is_accepted_and_only_its_hash_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert!(accepted(&[], dir.path()).unwrap().is_empty());
        let key = make(dir.path()).unwrap();
        assert!(key.expose_secret().starts_with("mc_") && key.expose_secret().len() == 67);
        assert!(accepted(&[], dir.path()).unwrap().caller(key.expose_secret()).is_some());
        let kept = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(!kept.contains(key.expose_secret()) && kept.starts_with("sha256:"));
    }
}
