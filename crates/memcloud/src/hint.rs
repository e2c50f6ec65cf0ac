//! What an operator can do about an error, in the words of the command line.

use memcloud_domain::Error;
use memcloud_instance::engines::postgres::Remedy;

use crate::settings::{DB_PORT, NEO4J_PASSWORD};

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

/// What to do about an address of a database.
pub(crate) fn of_address(remedy: Remedy) -> String {
    match remedy {
        Remedy::Text(text) => text,
        Remedy::SeparatePort => format!("set the host alone, and the port in {}", DB_PORT.name),
        Remedy::Password => format!("set {}, or {}", NEO4J_PASSWORD.name, NEO4J_PASSWORD.file_variable()),
    }
}

/// What to do about the code of a server's refusal, where the server's own hint speaks of HTTP.
pub(crate) fn of_refusal(code: &str) -> Option<&'static str> {
    Some(match code {
        "wrong_type" | "missing_field" => "give a value of the kind that '--help' of the command names",
        "not_found" | "method_not_allowed" => {
            "check the name, and that the server is as new as this program ('memcloud --version')"
        }
        "not_a_member" => "name them with --user or --agent",
        "no_spaces" => "name a group after --space, or leave it out for all groups",
        "forbidden_space" => "name a group that the key opens with --group or --space, or use another key",
        "limit_out_of_range" => "give --limit a number between 1 and the one in the error",
        _ => return None,
    })
}
