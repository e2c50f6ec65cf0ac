use memcloud_model::{Database, Error, Trouble};

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

/// Why a link is down: what is left of the error when many are to be told.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    trouble: Trouble,
    seen: String,
}

impl Outage {
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Database { trouble, source, .. } => Self { trouble: *trouble, seen: chain(source.as_ref()) },
            other => Self { trouble: Trouble::Unreachable, seen: chain(other) },
        }
    }

    pub(crate) fn error(&self, database: Database) -> Error {
        Error::database(database, self.trouble, self.seen.clone())
    }
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
