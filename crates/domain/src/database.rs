use std::fmt;

/// A database of its own that a memory stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Keeps episodes as a graph.
    Neo4j,
    /// Keeps records, and episodes where there is no Neo4j.
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
    /// No connection can be made, or it broke.
    Unreachable,
    /// It accepts connections but does not answer in time.
    Silent,
    /// Its certificate is not trusted, or the two cannot agree on TLS.
    Untrusted,
    /// It does not accept the user or the password.
    Refused,
    /// It has no connection left.
    Exhausted,
    /// The user may not do what is needed.
    Forbidden,
    /// It takes no writes.
    ReadOnly,
    /// Its disk, or what the plan allows, is full.
    Full,
    /// It has given up its data until it is restarted, most likely because it could not write its log.
    Broken,
    /// Its version, or that of an extension, is too old.
    TooOld,
    /// It lacks an extension.
    Lacking,
    /// A newer MemCloud has written its schema.
    Newer,
}

impl DatabaseErrorKind {
    /// Whether the connection itself is of no more use.
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

    pub(crate) fn code(self) -> &'static str {
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

    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Unreachable => "cannot be reached",
            Self::Silent => "does not answer",
            Self::Untrusted => "shows a certificate that is not trusted, or speaks no TLS",
            Self::Refused => "does not accept the user or the password",
            Self::Exhausted => "has no connection left",
            Self::Forbidden => "does not allow this user to do what is needed",
            Self::ReadOnly => "takes no writes",
            Self::Full => "is full",
            Self::Broken => "has given up its data until it is restarted",
            Self::TooOld => "is too old",
            Self::Lacking => "lacks an extension",
            Self::Newer => "has the schema of a newer memcloud",
        }
    }

    pub(crate) fn hint(self, database: Database) -> &'static str {
        use Database::{Neo4j, Postgres};
        match (self, database) {
            (Self::Unreachable | Self::Silent, Neo4j) => {
                "see that Neo4j runs (an Aura instance may be paused) and that NEO4J_URI leads to it; memcloud tries again by itself"
            }
            (Self::Unreachable | Self::Silent, Postgres) => {
                "see that PostgreSQL runs and that DB_HOST and DB_PORT (or DATABASE_URL) lead to it; memcloud tries again by itself"
            }
            (Self::Untrusted, Neo4j) => {
                "name the file of the authority that signed the certificate in NEO4J_CA_FILE, and use the host that the certificate names"
            }
            (Self::Untrusted, Postgres) => {
                "name the file of the authority that signed the certificate in DB_CA_FILE; on a network that you trust, DB_SSLMODE=disable does without TLS"
            }
            (Self::Refused, Neo4j) => "correct NEO4J_USER and NEO4J_PASSWORD",
            (Self::Refused, Postgres) => "correct DB_USER, DB_PASSWORD and DB_NAME (or DATABASE_URL)",
            (Self::Exhausted, Neo4j) => "close other connections to Neo4j",
            (Self::Exhausted, Postgres) => {
                "close other connections to PostgreSQL, lower DB_POOL, or raise its max_connections"
            }
            (Self::Forbidden, Neo4j) => {
                "let the user of NEO4J_USER write, and create constraints and indexes"
            }
            (Self::Forbidden, Postgres) => {
                "let the user create in this database: GRANT CREATE ON DATABASE … TO …, and have the owner run CREATE EXTENSION vector"
            }
            (Self::ReadOnly, Neo4j) => "make the Neo4j database writable again; nothing was stored",
            (Self::ReadOnly, Postgres) => {
                "lead DB_HOST to the primary, or make the PostgreSQL database writable again; nothing was stored"
            }
            (Self::Full, Neo4j) => {
                "give Neo4j more room, or delete memories (Aura Free holds 200,000 nodes and 400,000 relationships); nothing was stored"
            }
            (Self::Full, Postgres) => "give the disk of PostgreSQL more room; nothing was stored",
            (Self::Broken, Neo4j) => {
                "see Neo4j's own log (most often its disk is full: make room), then restart it; nothing was stored"
            }
            (Self::Broken, Postgres) => "see PostgreSQL's own log, then restart it; nothing was stored",
            (Self::TooOld | Self::Lacking, Neo4j) => "use Neo4j 5.23 or newer",
            (Self::TooOld, Postgres) => "use PostgreSQL 14 or newer with pgvector 0.7 or newer",
            (Self::Lacking, Postgres) => {
                "install pgvector 0.7 or newer on the PostgreSQL server (on Debian the package postgresql-<version>-pgvector)"
            }
            (Self::Newer, _) => "run the newer memcloud, or use another database",
        }
    }
}
