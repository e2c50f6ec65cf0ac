use strum::{Display, IntoStaticStr};

/// A database server that a memory uses.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum Database {
    /// Stores episodes as a graph.
    Neo4j,
    /// Stores records, and episodes where there is no Neo4j.
    #[strum(serialize = "PostgreSQL")]
    Postgres,
}

/// What is wrong with a database.
#[derive(Clone, Copy, Debug, thiserror::Error, IntoStaticStr, PartialEq, Eq)]
#[strum(serialize_all = "snake_case", prefix = "database_")]
pub enum DatabaseErrorKind {
    /// A connection cannot be made, or it was lost.
    #[error("cannot be reached")]
    Unreachable,
    /// It accepts connections but does not answer in time.
    #[error("does not answer")]
    Silent,
    /// Its certificate is not trusted, or the two cannot agree on TLS.
    #[error("has a certificate that is not trusted, or does not support TLS")]
    Untrusted,
    /// It does not accept the user or the password.
    #[error("does not accept the user or the password")]
    Refused,
    /// It has no connection left.
    #[error("has no connection left")]
    Exhausted,
    /// The user lacks a permission.
    #[error("does not give this user a permission that is needed")]
    Forbidden,
    /// It does not accept writes.
    #[error("does not accept writes")]
    ReadOnly,
    /// Its disk, or what the plan allows, is full.
    #[error("is full")]
    Full,
    /// It stopped serving its data and must be restarted, most likely because it could not write its log.
    #[error("stopped serving its data and must be restarted")]
    Broken,
    /// Its version, or that of an extension, is too old.
    #[error("is too old")]
    TooOld,
    /// It lacks an extension.
    #[error("lacks an extension")]
    Lacking,
    /// A newer version has written its schema.
    #[error("has the schema of a newer version")]
    Newer,
}

impl DatabaseErrorKind {
    /// Whether the connection itself is unusable.
    pub fn breaks_connection(self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::Silent
                | Self::Untrusted
                | Self::Refused
                | Self::Exhausted
                | Self::Broken
        )
    }

    /// The stable code, for programs.
    pub fn code(self) -> &'static str {
        self.into()
    }
}
