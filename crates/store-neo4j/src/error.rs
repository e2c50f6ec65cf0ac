use std::error::Error as StdError;

use memcloud_domain::{Database, DatabaseErrorKind, Error};

/// The error for the caller, with what the work was for.
pub(crate) fn doing(doing: &'static str) -> impl Fn(neo4rs::Error) -> Error {
    move |error| match kind(&error) {
        Some(kind) => Error::database(Database::Neo4j, kind, error),
        None => Error::Storage { doing, source: error.into() },
    }
}

/// The error of an answer that cannot be read.
pub(crate) fn unreadable(error: neo4rs::DeError) -> Error {
    Error::Storage { doing: "reading an answer of Neo4j", source: error.into() }
}

/// What an error says about the database. `None` if it is about the query.
fn kind(error: &neo4rs::Error) -> Option<DatabaseErrorKind> {
    Some(match error {
        neo4rs::Error::IOError { detail } if is_tls(detail) => DatabaseErrorKind::Untrusted,
        // The driver reports every failed login like this, in the server's words, which tests pin.
        neo4rs::Error::AuthenticationError(message) if is_refusal(message) => DatabaseErrorKind::Refused,
        neo4rs::Error::IOError { .. }
        | neo4rs::Error::AuthenticationError(_)
        | neo4rs::Error::ConnectionError
        | neo4rs::Error::IncompleteBoltExchange
        | neo4rs::Error::ProtocolMismatch(_)
        | neo4rs::Error::RequestIgnoredError
        | neo4rs::Error::ServerUnavailableError(_)
        | neo4rs::Error::UnexpectedMessage(_)
        | neo4rs::Error::Ignored(_)
        | neo4rs::Error::UnknownMessage(_) => DatabaseErrorKind::Unreachable,
        neo4rs::Error::ConnectionTimedOut => DatabaseErrorKind::Silent,
        neo4rs::Error::UnsupportedVersion(..) => DatabaseErrorKind::TooOld,
        neo4rs::Error::Neo4j(error) => return kind_of_code(error.code(), error.message()),
        _ => return None,
    })
}

/// The codes are those of <https://neo4j.com/docs/status-codes/current/errors/all-errors/>.
fn kind_of_code(code: &str, message: &str) -> Option<DatabaseErrorKind> {
    let message = message.to_lowercase();
    Some(match code {
        "Neo.ClientError.Security.Forbidden" if message.contains("read only") => DatabaseErrorKind::ReadOnly,
        "Neo.ClientError.Security.Forbidden" => DatabaseErrorKind::Forbidden,
        "Neo.ClientError.Cluster.NotALeader" => DatabaseErrorKind::ReadOnly,
        _ if code.contains("ReadOnly") => DatabaseErrorKind::ReadOnly,
        "Neo.ClientError.Database.DatabaseNotFound" => DatabaseErrorKind::Refused,
        _ if code.starts_with("Neo.ClientError.Security.") => DatabaseErrorKind::Refused,
        _ if message.contains("no space left")
            || message.contains("disk full")
            || message.contains("quota") =>
        {
            DatabaseErrorKind::Full
        }
        _ if message.contains("read only") || message.contains("read-only") => DatabaseErrorKind::ReadOnly,
        _ if code.ends_with("OutOfMemoryError")
            || code.contains("MemoryLimit")
            || code.contains("MemoryPool") =>
        {
            DatabaseErrorKind::Exhausted
        }
        _ if code.contains(".Transaction.TransactionTimedOut")
            || code.contains(".Transaction.LockAcquisition") =>
        {
            DatabaseErrorKind::Silent
        }
        // Another transaction removed a node of this one: it may be tried again.
        "Neo.ClientError.Statement.EntityNotFound" | "Neo.ClientError.Transaction.LockClientStopped" => {
            DatabaseErrorKind::Unreachable
        }
        _ if code.contains(".Transaction.Terminated") || code.starts_with("Neo.TransientError.") => {
            DatabaseErrorKind::Unreachable
        }
        _ if code.starts_with("Neo.DatabaseError.") => DatabaseErrorKind::Broken,
        _ => return None,
    })
}

fn is_refusal(message: &str) -> bool {
    let message = message.to_lowercase();
    ["unauthorized", "authentication", "credentials", "password"].iter().any(|word| message.contains(word))
}

/// Whether TLS could not be established.
fn is_tls(error: &std::io::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(inner) = cause {
        if inner.is::<rustls::Error>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes and messages of Neo4j 5 and 2025, and of neo4rs 0.9.0-rc.11.
    #[test]
    fn codes_and_messages_of_the_server_have_their_kinds() {
        let not_the_query = [
            (
                "Neo.ClientError.Security.Unauthorized",
                "The client is unauthorized",
                DatabaseErrorKind::Refused,
            ),
            (
                "Neo.ClientError.Security.Forbidden",
                "Write operations are not allowed",
                DatabaseErrorKind::Forbidden,
            ),
            ("Neo.ClientError.Security.Forbidden", "is in read only mode", DatabaseErrorKind::ReadOnly),
            ("Neo.ClientError.General.ForbiddenOnReadOnlyDatabase", "", DatabaseErrorKind::ReadOnly),
            ("Neo.ClientError.Cluster.NotALeader", "", DatabaseErrorKind::ReadOnly),
            ("Neo.ClientError.Database.DatabaseNotFound", "", DatabaseErrorKind::Refused),
            ("Neo.TransientError.General.DatabaseUnavailable", "", DatabaseErrorKind::Unreachable),
            ("Neo.TransientError.General.OutOfMemoryError", "", DatabaseErrorKind::Exhausted),
            ("Neo.TransientError.Transaction.LockAcquisitionTimeout", "", DatabaseErrorKind::Silent),
            ("Neo.ClientError.Transaction.TransactionTimedOut", "", DatabaseErrorKind::Silent),
            ("Neo.DatabaseError.General.UnknownError", "No space left on device", DatabaseErrorKind::Full),
            ("Neo.DatabaseError.General.UnknownError", "", DatabaseErrorKind::Broken),
        ];
        for (code, message, kind) in not_the_query {
            assert_eq!(kind_of_code(code, message), Some(kind), "{code} {message}");
        }
        assert_eq!(kind_of_code("Neo.ClientError.Statement.SyntaxError", "Invalid input"), None);
    }

    #[test]
    fn a_failed_login_is_a_refusal_and_a_lost_connection_is_not() {
        let refused = "The client is unauthorized due to authentication failure.";
        for (message, expected) in
            [(refused, DatabaseErrorKind::Refused), ("connection closed", DatabaseErrorKind::Unreachable)]
        {
            let error = neo4rs::Error::AuthenticationError(message.into());
            assert_eq!(kind(&error), Some(expected), "{message}");
        }
    }
}
