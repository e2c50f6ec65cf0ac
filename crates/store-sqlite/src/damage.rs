use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memcloud_domain::Error;

/// What could not be read since the store was opened.
#[derive(Default)]
pub(crate) struct Damage(Mutex<Found>);

#[derive(Default)]
struct Found {
    /// The numbers of rows of episodes.
    rows: BTreeSet<i64>,
    /// The first failure that concerns anything else.
    other: Option<String>,
}

/// How many rows are named.
const NAMED: usize = 10;

impl Damage {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a row of episodes that cannot be read.
    pub(crate) fn note_row(&self, row: i64) {
        let is_new = self.found().rows.insert(row);
        if is_new {
            tracing::error!(row, "a memory cannot be read: the database is damaged; run 'memcloud doctor'");
        }
    }

    /// Notes the failure of a read or a write, if it is one of damage.
    pub(crate) fn note(&self, error: &Error) {
        if let Error::StorageDamaged { what } = error {
            self.found().other.get_or_insert_with(|| what.clone());
        }
    }

    /// Refuses when anything could not be read.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Found { rows, other } = &*self.found();
        if rows.is_empty() && other.is_none() {
            return Ok(());
        }
        let named: Vec<String> = rows.iter().take(NAMED).map(i64::to_string).collect();
        let more = if rows.len() > NAMED { ", …" } else { "" };
        let unreadable = (!rows.is_empty())
            .then(|| format!("{} memories cannot be read (rows {}{more})", rows.len(), named.join(", ")));
        let what = [unreadable, other.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        Err(Error::StorageDamaged { what })
    }
}
