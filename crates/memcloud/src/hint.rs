//! What an operator can do about an error, in the words of the command line.

use memcloud_domain::Error;

/// What to do next, in one sentence.
pub(crate) fn hint(error: &Error) -> &'static str {
    match error {
        Error::StorageLocked { .. } => "stop the other memcloud, or choose another --data-dir",
        Error::StorageNewer { .. } => "run the newer memcloud, or choose another --data-dir",
        other => memcloud_server::hint(other),
    }
}
