//! Who else on this machine can use the files of an instance.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use memcloud_instance::engines::sqlite;

use crate::api_keys;

/// What other users may do with a file: read it, or write it.
const OTHERS: u32 = 0o006;

/// Warns of a data directory, of files in it, and of files that hold secrets, that users other than the owner and the group
/// can read or write.
pub(crate) fn warn(data_dir: &Path, secret_files: Vec<PathBuf>) {
    let own = [data_dir.to_owned(), data_dir.join(sqlite::FILE), data_dir.join(api_keys::FILE)];
    for path in own.into_iter().chain(secret_files) {
        // What does not exist yet is created for its owner alone.
        let Ok(found) = std::fs::metadata(&path) else { continue };
        let mode = found.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            let (path, mode) = (path.display(), format!("{mode:o}"));
            tracing::warn!(%path, mode, "other users of this machine can read or write this; run 'chmod -R o-rwx' on it");
        }
    }
}
