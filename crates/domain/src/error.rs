use thiserror::Error;

use crate::{Database, DatabaseErrorKind};

/// What can go wrong with a memory, in words for the one who asked.
///
/// Each has a stable [code](Error::code), a message that says what happened, and a [hint](Error::hint) that says what
/// to do next. The server maps the [kind of fault](Error::fault) to a status; inner causes stay in `source()`.
#[derive(Debug, Error)]
pub enum Error {
    /// The content of a message is longer than the limit.
    #[error("the content has {bytes} bytes; the limit is {limit}")]
    ContentTooLong {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A message without content.
    #[error("the content is empty")]
    EmptyContent,
    /// A text holds a character that no memory keeps.
    #[error("{field} holds a NUL character")]
    NulCharacter {
        /// The field's name.
        field: &'static str,
    },
    /// A name is longer than the limit.
    #[error("{field} has {bytes} bytes; the limit is {limit}")]
    NameTooLong {
        /// The field's name.
        field: &'static str,
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not a moment in time.
    #[error("'{given}' is not a time between the years 1000 and 2999")]
    InvalidTime {
        /// What was given.
        given: String,
    },
    /// Not an episode's id.
    #[error("'{given}' is not an episode id")]
    InvalidId {
        /// What was given.
        given: String,
    },
    /// Not a fact's id.
    #[error("'{given}' is not the id of a fact")]
    InvalidFactId {
        /// What was given.
        given: String,
    },
    /// A search without words.
    #[error("the query is empty")]
    EmptyQuery,
    /// A limit outside what a search answers.
    #[error("the limit is {given}; it must lie between 1 and {max}")]
    LimitOutOfRange {
        /// What was given.
        given: i64,
        /// The largest limit.
        max: usize,
    },
    /// A filter on something that episodes do not have.
    #[error("episodes have no field '{key}' to filter on")]
    UnknownFilterKey {
        /// The key given.
        key: String,
    },
    /// The same idempotency key came with another request.
    #[error("this Idempotency-Key was used before with another request")]
    IdempotencyConflict,
    /// The stored vectors come from another model than the one that runs.
    #[error("the stored vectors come from '{stored}', but the embedding model is '{running}'")]
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
    /// Another process holds the data.
    #[error("another process holds the data in {place}")]
    StorageLocked {
        /// The data directory.
        place: String,
    },
    /// A newer MemCloud has written the data.
    #[error("the data has schema {found}; this memcloud knows schemas up to {known}")]
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
    /// A database that the memory stands on cannot serve.
    #[error("{database} {}", trouble.told())]
    Database {
        /// Which one.
        database: Database,
        /// What is wrong with it.
        trouble: DatabaseErrorKind,
        /// How it was seen.
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
        /// Where they were looked for.
        wanted: String,
    },
    /// Storing took so long that another server has taken it back.
    #[error("storing took too long and was taken back")]
    Withdrawn,
    /// The connection broke when the last word was to be spoken.
    #[error("the connection to {database} broke at the last moment: whether it was stored is not known")]
    OutcomeUnknown {
        /// Which database it was.
        database: Database,
    },
    /// The endpoint that embeds cannot serve at present.
    #[error("the embedding endpoint does not serve")]
    EmbeddingUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The embedding model failed.
    #[error("the embedding model failed")]
    Embedding(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The memory is shutting down.
    #[error("the memory is shutting down")]
    ShuttingDown,
}

/// Whose fault an error is, and so what a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is wrong: change it.
    Request,
    /// The request contradicts what is stored.
    Conflict,
    /// The memory cannot serve at present: try again later.
    Unavailable,
    /// The memory is broken: tell its operator.
    Internal,
}

impl Error {
    /// The stable code of the error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ContentTooLong { .. } => "content_too_long",
            Self::EmptyContent => "empty_content",
            Self::NulCharacter { .. } => "nul_character",
            Self::NameTooLong { .. } => "name_too_long",
            Self::InvalidTime { .. } => "invalid_time",
            Self::InvalidId { .. } => "invalid_id",
            Self::InvalidFactId { .. } => "invalid_fact_id",
            Self::EmptyQuery => "empty_query",
            Self::LimitOutOfRange { .. } => "limit_out_of_range",
            Self::UnknownFilterKey { .. } => "unknown_filter_key",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::OtherVectorSpace { .. } => "other_vector_space",
            Self::StorageFull(_) => "storage_full",
            Self::StorageReadOnly(_) => "storage_read_only",
            Self::StorageLocked { .. } => "storage_locked",
            Self::StorageNewer { .. } => "storage_newer",
            Self::Storage { .. } => "storage_failed",
            Self::Database { trouble, .. } => trouble.code(),
            Self::EpisodesElsewhere { .. } => "episodes_elsewhere",
            Self::Withdrawn => "store_withdrawn",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::EmbeddingUnavailable(_) => "embedding_unavailable",
            Self::Embedding(_) => "embedding_failed",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// What to do next, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ContentTooLong { .. } => "split the message, or raise MEMCLOUD_MAX_CONTENT_BYTES",
            Self::EmptyContent => "send what was said in episode_content",
            Self::NulCharacter { .. } => "remove the NUL character",
            Self::NameTooLong { .. } => "use a shorter name",
            Self::InvalidTime { .. } => {
                "send RFC 3339, such as 2026-05-08T13:56:00Z; without a zone it is read as UTC"
            }
            Self::InvalidId { .. } => "use the id that the store answered, with or without 'episode-'",
            Self::InvalidFactId { .. } => "use the number that stands as 'id' with the fact",
            Self::EmptyQuery => "ask something",
            Self::LimitOutOfRange { .. } => "ask for fewer results, or leave the limit out",
            Self::UnknownFilterKey { .. } => {
                "filter on producer_id, produced_for_id, session_id, episode_type or metadata.<key>"
            }
            Self::IdempotencyConflict => "use a new key for a new request",
            Self::OtherVectorSpace { .. } => {
                "run with the model that the data was stored with, or use another data directory"
            }
            Self::StorageFull(_) => "free space on that disk; nothing was stored by this request",
            Self::StorageReadOnly(_) => "make the data directory writable for the user that runs memcloud",
            Self::StorageLocked { .. } => "stop the other memcloud, or choose another --data-dir",
            Self::StorageNewer { .. } => "run the newer memcloud, or choose another --data-dir",
            Self::Storage { .. } => "see the server's log; 'memcloud doctor' names the broken part",
            Self::Database { database, trouble, .. } => trouble.hint(*database),
            Self::EpisodesElsewhere { .. } => {
                "set NEO4J_URI as it was when the memory was made; 'memcloud export' and 'import --from' move a memory"
            }
            Self::Withdrawn => "send the request again; nothing was stored",
            Self::OutcomeUnknown { .. } => {
                "send the request again under the same Idempotency-Key: it is then stored once"
            }
            Self::EmbeddingUnavailable(_) | Self::Embedding(_) => "run 'memcloud doctor'",
            Self::ShuttingDown => "send the request again when the server is back",
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::ContentTooLong { .. }
            | Self::EmptyContent
            | Self::NulCharacter { .. }
            | Self::NameTooLong { .. }
            | Self::InvalidTime { .. }
            | Self::InvalidId { .. }
            | Self::InvalidFactId { .. }
            | Self::EmptyQuery
            | Self::LimitOutOfRange { .. }
            | Self::UnknownFilterKey { .. } => Fault::Request,
            Self::IdempotencyConflict => Fault::Conflict,
            Self::StorageFull(_)
            | Self::StorageReadOnly(_)
            | Self::StorageLocked { .. }
            | Self::StorageNewer { .. }
            | Self::Database { .. }
            | Self::EpisodesElsewhere { .. }
            | Self::Withdrawn
            | Self::OutcomeUnknown { .. }
            | Self::EmbeddingUnavailable(_)
            | Self::ShuttingDown => Fault::Unavailable,
            Self::OtherVectorSpace { .. } | Self::Storage { .. } | Self::Embedding(_) => Fault::Internal,
        }
    }

    /// A database's trouble.
    pub fn database(
        database: Database,
        trouble: DatabaseErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Database { database, trouble, source: source.into() }
    }

    /// Whether the connection to a database was lost or cannot be made.
    pub fn lost_connection(&self) -> bool {
        match self {
            Self::Database { trouble, .. } => trouble.breaks_connection(),
            Self::OutcomeUnknown { .. } => true,
            _ => false,
        }
    }
}

/// An error and all that caused it, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let told = inner.to_string();
        // Many errors repeat their cause in their own words; said once is enough.
        if !line.ends_with(&told) {
            line.push_str(": ");
            line.push_str(&told);
        }
        cause = inner.source();
    }
    line
}
