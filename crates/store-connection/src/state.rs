use memcloud_domain::{Database, DatabaseErrorKind, Error, with_causes};

/// How a link stands.
#[derive(Clone, Debug)]
pub(crate) enum State<S> {
    /// It is being opened for the first time.
    Opening,
    /// It works, as far as is known.
    Up(Up<S>),
    /// It does not.
    Down(Outage),
}

/// A session that works.
#[derive(Clone, Debug)]
pub(crate) struct Up<S> {
    pub(crate) session: S,
    /// Grows with every session of the link.
    pub(crate) generation: u64,
}

/// Why a link is down: an error that can be told many times.
#[derive(Clone, Debug)]
pub(crate) enum Outage {
    /// A trouble of the database, and how it was seen.
    DatabaseErrorKind(DatabaseErrorKind, String),
    /// The records in `place` belong to episodes that are kept elsewhere.
    Elsewhere { place: String, kept: String, wanted: String },
}

impl Outage {
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Database { trouble, source, .. } => {
                Self::DatabaseErrorKind(*trouble, with_causes(source.as_ref()))
            }
            Error::EpisodesElsewhere { place, kept, wanted } => {
                Self::Elsewhere { place: place.clone(), kept: kept.clone(), wanted: wanted.clone() }
            }
            other => Self::DatabaseErrorKind(DatabaseErrorKind::Unreachable, with_causes(other)),
        }
    }

    pub(crate) fn error(&self, database: Database) -> Error {
        match self.clone() {
            Self::DatabaseErrorKind(trouble, seen) => Error::database(database, trouble, seen),
            Self::Elsewhere { place, kept, wanted } => Error::EpisodesElsewhere { place, kept, wanted },
        }
    }
}
