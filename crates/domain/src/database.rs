use std::fmt;

/// A database server that a memory uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Stores episodes as a graph.
    Neo4j,
    /// Stores records, and episodes where there is no Neo4j.
    Postgres,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Neo4j => "Neo4j",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// What is wrong with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseErrorKind {
    /// A connection cannot be made, or it was lost.
    Unreachable,
    /// It accepts connections but does not answer in time.
    Silent,
    /// Its certificate is not trusted, or the two cannot agree on TLS.
    Untrusted,
    /// It does not accept the user or the password.
    Refused,
    /// It has no connection left.
    Exhausted,
    /// The user lacks a permission.
    Forbidden,
    /// It does not accept writes.
    ReadOnly,
    /// Its disk, or what the plan allows, is full.
    Full,
    /// It stopped serving its data and must be restarted, most likely because it could not write its log.
    Broken,
    /// Its version, or that of an extension, is too old.
    TooOld,
    /// It lacks an extension.
    Lacking,
    /// A newer version has written its schema.
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
        match self {
            Self::Unreachable => "database_unreachable",
            Self::Silent => "database_silent",
            Self::Untrusted => "database_untrusted",
            Self::Refused => "database_refused",
            Self::Exhausted => "database_exhausted",
            Self::Forbidden => "database_forbidden",
            Self::ReadOnly => "database_read_only",
            Self::Full => "database_full",
            Self::Broken => "database_broken",
            Self::TooOld => "database_too_old",
            Self::Lacking => "database_lacking",
            Self::Newer => "database_newer",
        }
    }
}

impl fmt::Display for DatabaseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "cannot be reached",
            Self::Silent => "does not answer",
            Self::Untrusted => "has a certificate that is not trusted, or does not support TLS",
            Self::Refused => "does not accept the user or the password",
            Self::Exhausted => "has no connection left",
            Self::Forbidden => "does not give this user a permission that is needed",
            Self::ReadOnly => "does not accept writes",
            Self::Full => "is full",
            Self::Broken => "stopped serving its data and must be restarted",
            Self::TooOld => "is too old",
            Self::Lacking => "lacks an extension",
            Self::Newer => "has the schema of a newer version",
        })
    }
}
