use thiserror::Error;

use crate::{Database, DatabaseErrorKind, Space, Violation};

/// What can go wrong with a memory.
///
/// Each error has a stable [code](Error::code), a message that says what happened, and a [kind of fault](Error::fault)
/// that says who can fix it. No message names a surface: a field of an API, a header, a setting or a command. Each surface
/// has its own hints for the codes, and each API a table of the places of its [fields](crate::Field). Inner causes stay in
/// `source()`.
#[derive(Debug, Error)]
pub enum Error {
    /// The request breaks rules.
    #[error("{}", joined(.0))]
    Invalid(Vec<Violation>),
    /// The same idempotency key came with another request.
    #[error("this idempotency key was used before with another request")]
    IdempotencyConflict,
    /// The space is being deleted.
    #[error("the space '{0}' is being deleted")]
    SpaceDeleting(Space),
    /// The stored vectors come from another model than the one that runs.
    #[error(
        "the memory holds vectors of the model '{stored}', but the model that runs is '{running}'; vectors of two models \
         cannot be compared"
    )]
    OtherVectorSpace {
        /// The space of the stored vectors.
        stored: String,
        /// The space of the running model.
        running: String,
    },
    /// The store has no room left.
    #[error("the disk that holds the data is full")]
    StorageFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store cannot be written.
    #[error("the data cannot be written")]
    StorageReadOnly(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another process has the data open.
    #[error("another process has the data in {place} open")]
    StorageLocked {
        /// The data directory.
        place: String,
    },
    /// Another program holds a lock on the database.
    #[error("another program has locked the database")]
    StorageBusy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The files of the open database are no longer where they were.
    #[error("the data in {place} was moved, replaced or deleted while it was open")]
    StorageGone {
        /// The data directory.
        place: String,
    },
    /// A file of the open database was shortened.
    #[error(
        "the {file} in {place} was shortened while it was open: the newest changes are lost, and nothing more is stored"
    )]
    StorageShortened {
        /// The data directory.
        place: String,
        /// Which file.
        file: &'static str,
    },
    /// Something that is stored cannot be read.
    #[error("the store is damaged: {what}")]
    StorageDamaged {
        /// What cannot be read.
        what: String,
    },
    /// The part of the database that says where everything else is cannot be read.
    #[error("the database in {place} cannot be opened: {what}")]
    StorageUnreadable {
        /// The data directory.
        place: String,
        /// What the engine says.
        what: String,
    },
    /// What cannot be read cannot be deleted either. All other episodes that were to be deleted are gone.
    #[error("the store is damaged: memories that cannot be deleted: {episodes}; all others are deleted")]
    Undeletable {
        /// How many are left.
        episodes: u64,
    },
    /// Nothing is stored into a damaged database. Reads and deletions go on.
    #[error("nothing is stored while the store is damaged: {what}")]
    DamagedReadOnly {
        /// What cannot be read.
        what: String,
    },
    /// The data lacks changes that were answered.
    #[error("the data in {place} is incomplete: {what}")]
    StorageIncomplete {
        /// The data directory.
        place: String,
        /// What is missing, and how to go on without it.
        what: String,
    },
    /// A newer version has written the data.
    #[error("the data has schema {found}; the newest one known here is {known}")]
    StorageNewer {
        /// The schema of the data.
        found: usize,
        /// The newest schema known here.
        known: usize,
    },
    /// The store failed.
    #[error("the store failed: {doing}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A database of the memory cannot serve.
    #[error("{database} {kind}")]
    Database {
        /// Which one.
        database: Database,
        /// What is wrong with it.
        kind: DatabaseErrorKind,
        /// The driver's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The records belong to a memory whose episodes are kept elsewhere.
    #[error("the records in {place} belong to episodes that are kept {kept}, not {wanted}")]
    EpisodesElsewhere {
        /// Where the records are.
        place: String,
        /// Where the episodes are.
        kept: String,
        /// Where they were expected.
        wanted: String,
    },
    /// The graph belongs to another memory than the records.
    #[error("the Neo4j at {place} does not hold the episodes of these records")]
    OtherGraph {
        /// Where the graph is.
        place: String,
    },
    /// Storing took so long that another server has undone it.
    #[error("storing took too long and was undone")]
    Withdrawn,
    /// The connection was lost during the commit.
    #[error("the connection to {database} was lost during the commit: whether it was stored is not known")]
    OutcomeUnknown {
        /// Which database it was.
        database: Database,
    },
    /// The embedding endpoint cannot serve now.
    #[error("the embedding endpoint does not serve")]
    EmbeddingUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The embedding model failed.
    #[error("the embedding model failed")]
    Embedding(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Requests and answers take all the memory that they may.
    #[error("other requests take all the memory that is set aside for requests")]
    Busy,
    /// The memory is shutting down.
    #[error("the memory is shutting down")]
    ShuttingDown,
}

/// Who can fix an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller: the request is wrong.
    Request,
    /// The caller: the request contradicts what is stored.
    Conflict,
    /// Time: the memory cannot serve now, and the caller can try again later.
    Unavailable,
    /// The operator: the memory is broken.
    Internal,
}

impl Error {
    /// The stable code of the error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(violations) => violations.first().map_or("invalid", Violation::code),
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::SpaceDeleting(_) => "space_deleting",
            Self::OtherVectorSpace { .. } => "other_vector_space",
            Self::StorageFull(_) => "storage_full",
            Self::StorageReadOnly(_) => "storage_read_only",
            Self::StorageLocked { .. } => "storage_locked",
            Self::StorageBusy(_) => "storage_busy",
            Self::StorageGone { .. } => "storage_gone",
            Self::StorageShortened { .. } => "storage_shortened",
            Self::StorageDamaged { .. }
            | Self::StorageUnreadable { .. }
            | Self::Undeletable { .. }
            | Self::DamagedReadOnly { .. } => "storage_damaged",
            Self::StorageIncomplete { .. } => "storage_incomplete",
            Self::StorageNewer { .. } => "storage_newer",
            Self::Storage { .. } => "storage_failed",
            Self::Database { kind, .. } => kind.code(),
            Self::EpisodesElsewhere { .. } | Self::OtherGraph { .. } => "episodes_elsewhere",
            Self::Withdrawn => "store_withdrawn",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::EmbeddingUnavailable(_) => "embedding_unavailable",
            Self::Embedding(_) => "embedding_failed",
            Self::Busy => "busy",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// Who can fix it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Invalid(_) => Fault::Request,
            Self::IdempotencyConflict | Self::SpaceDeleting(_) => Fault::Conflict,
            Self::StorageFull(_)
            | Self::StorageReadOnly(_)
            | Self::StorageLocked { .. }
            | Self::StorageBusy(_)
            | Self::StorageGone { .. }
            | Self::StorageShortened { .. }
            | Self::DamagedReadOnly { .. }
            | Self::StorageIncomplete { .. }
            | Self::StorageNewer { .. }
            | Self::Database { .. }
            | Self::EpisodesElsewhere { .. }
            | Self::OtherGraph { .. }
            | Self::Withdrawn
            | Self::OutcomeUnknown { .. }
            | Self::EmbeddingUnavailable(_)
            | Self::Busy
            | Self::ShuttingDown => Fault::Unavailable,
            Self::OtherVectorSpace { .. }
            | Self::StorageDamaged { .. }
            | Self::StorageUnreadable { .. }
            | Self::Undeletable { .. }
            | Self::Storage { .. }
            | Self::Embedding(_) => Fault::Internal,
        }
    }

    /// An error of a database.
    pub fn database(
        database: Database,
        kind: DatabaseErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Database { database, kind, source: source.into() }
    }

    /// Whether the connection to a database was lost or cannot be made.
    pub fn lost_connection(&self) -> bool {
        match self {
            Self::Database { kind, .. } => kind.breaks_connection(),
            Self::OutcomeUnknown { .. } => true,
            _ => false,
        }
    }
}

/// An error and its causes, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        // Many errors repeat their cause in their own message.
        if !line.ends_with(&message) {
            line.push_str(": ");
            line.push_str(&message);
        }
        cause = inner.source();
    }
    line
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Invalid(vec![violation])
    }
}

impl From<Vec<Violation>> for Error {
    fn from(violations: Vec<Violation>) -> Self {
        Self::Invalid(violations)
    }
}

fn joined(violations: &[Violation]) -> String {
    violations.iter().map(Violation::to_string).collect::<Vec<_>>().join("; ")
}
