use memcloud_domain::{Database, DatabaseErrorKind, Error, with_causes};

/// The state of a connection.
#[derive(Clone, Debug)]
pub(crate) enum State<S> {
    /// The first client is being opened.
    Opening,
    /// There is a client that works, as far as is known.
    Up(Up<S>),
    /// There is none.
    Down(Outage),
}

/// A client that works.
#[derive(Clone, Debug)]
pub(crate) struct Up<S> {
    pub(crate) client: S,
    /// Grows with every client of the connection.
    pub(crate) generation: u64,
}

/// Why a connection is down: an error that can be returned many times.
#[derive(Clone, Debug)]
pub(crate) enum Outage {
    /// What is wrong with the database, and how it showed.
    Database(DatabaseErrorKind, String),
    /// The records in `place` belong to episodes that are kept elsewhere.
    Elsewhere { place: String, kept: String, wanted: String },
}

impl Outage {
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Database { kind, source, .. } => Self::Database(*kind, with_causes(source.as_ref())),
            Error::EpisodesElsewhere { place, kept, wanted } => {
                Self::Elsewhere { place: place.clone(), kept: kept.clone(), wanted: wanted.clone() }
            }
            other => Self::Database(DatabaseErrorKind::Unreachable, with_causes(other)),
        }
    }

    pub(crate) fn error(&self, database: Database) -> Error {
        match self.clone() {
            Self::Database(kind, seen) => Error::database(database, kind, seen),
            Self::Elsewhere { place, kept, wanted } => Error::EpisodesElsewhere { place, kept, wanted },
        }
    }
}
