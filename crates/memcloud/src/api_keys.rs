//! The keys of an instance: those of the settings, and those that were made for its data directory.

use std::io::ErrorKind;
use std::path::Path;

use memcloud_server::ApiKeys;
use secrecy::SecretString;

use crate::failure::Failure;

/// The file of the data directory that holds the hashes of keys, one `sha256:<hex>` a line.
pub(crate) const FILE: &str = "api-keys";

/// All keys that an instance accepts, and that of its console.
pub(crate) fn accepted(
    given: &[SecretString],
    console: Option<&SecretString>,
    data_dir: &Path,
) -> Result<ApiKeys, Failure> {
    let mut keys = given.to_vec();
    keys.extend(made_before(&data_dir.join(FILE))?);
    let accepted = ApiKeys::new(&keys);
    let accepted =
        accepted.and_then(|accepted| console.map_or(Ok(accepted.clone()), |key| accepted.with_console(key)));
    accepted.map_err(|error| {
        Failure::usage(
            error.to_string(),
            "correct MEMCLOUD_API_KEYS, or the file api-keys in the data directory",
        )
    })
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
    use data_encoding::HEXLOWER;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn a_key_of_the_directory_is_accepted_by_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        assert!(accepted(&[], None, dir.path()).unwrap().is_empty());
        let line = format!("sha256:{}\n", HEXLOWER.encode(&Sha256::digest("mc_made_before")));
        std::fs::write(dir.path().join(FILE), line).unwrap();
        assert!(accepted(&[], None, dir.path()).unwrap().caller("mc_made_before").is_some());
    }

    #[test]
    fn the_key_of_a_console_opens_and_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let keys = accepted(&[], Some(&"mcc_console".into()), dir.path()).unwrap();
        assert!(keys.is_empty() && keys.caller("mcc_console").is_some() && keys.caller("other").is_none());
    }
}
