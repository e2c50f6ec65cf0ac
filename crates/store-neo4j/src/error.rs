use std::error::Error as StdError;

use memcloud_domain::{Database, DatabaseErrorKind, Error};

/// The error for the one who asked, with what was being done.
pub(crate) fn doing(doing: &'static str) -> impl Fn(neo4rs::Error) -> Error {
    move |error| match trouble(&error) {
        Some(trouble) => Error::database(Database::Neo4j, trouble, error),
        None => Error::Storage { doing, source: error.into() },
    }
}

/// An answer that is not what the query asks for.
pub(crate) fn unreadable(error: neo4rs::DeError) -> Error {
    Error::Storage { doing: "reading an answer of Neo4j", source: error.into() }
}

/// What an error says of the database, if it is not about the query itself.
fn trouble(error: &neo4rs::Error) -> Option<DatabaseErrorKind> {
    Some(match error {
        neo4rs::Error::IOError { detail } if is_tls(detail) => DatabaseErrorKind::Untrusted,
        // The library tells every failure of a login so, in the server's words.
        neo4rs::Error::AuthenticationError(told) if is_refusal(told) => DatabaseErrorKind::Refused,
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
        neo4rs::Error::Neo4j(told) => return trouble_of(told.code(), told.message()),
        _ => return None,
    })
}

/// The codes are those of <https://neo4j.com/docs/status-codes/current/errors/all-errors/>.
fn trouble_of(code: &str, message: &str) -> Option<DatabaseErrorKind> {
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
        // Something it works on was removed by another transaction meanwhile: it may be tried again.
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

fn is_refusal(told: &str) -> bool {
    let told = told.to_lowercase();
    ["unauthorized", "authentication", "credentials", "password"].iter().any(|word| told.contains(word))
}

/// Whether the two could not agree on TLS.
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
