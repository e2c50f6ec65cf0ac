//! What an operator can do about an error, in the words of the command line.

use memcloud_domain::Error;

/// What to do next, in one sentence.
pub(crate) fn hint(error: &Error) -> &'static str {
    match error {
        Error::StorageLocked { .. } => "stop the other memcloud, or choose another --data-dir",
        Error::StorageNewer { .. } => "run the newer memcloud, or choose another --data-dir",
        Error::OtherVectorSpace { .. } => {
            "run the model that the vectors come from: name it in MEMCLOUD_EMBEDDING_MODEL, or unset that for the built-in one; \
             to begin an empty memory with the other model, choose another --data-dir or database"
        }
        other => memcloud_server::hint(other),
    }
}
