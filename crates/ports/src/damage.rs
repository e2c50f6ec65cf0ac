use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memcloud_domain::Error;

/// What a store could not read since it was opened. `Row` names a row as the engine's own tools do.
#[derive(Debug)]
pub struct Damage<Row>(Mutex<Found<Row>>);

#[derive(Debug)]
struct Found<Row> {
    /// The rows of episodes.
    rows: BTreeSet<Row>,
    /// The first failure that concerns anything else.
    other: Option<String>,
}

/// How many rows are named.
const NAMED: usize = 10;

impl<Row> Default for Damage<Row> {
    fn default() -> Self {
        Self(Mutex::new(Found { rows: BTreeSet::new(), other: None }))
    }
}

impl<Row: Ord + Copy + Display> Damage<Row> {
    fn found(&self) -> MutexGuard<'_, Found<Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a row of episodes that cannot be read.
    pub fn note_row(&self, row: Row) {
        let is_new = self.found().rows.insert(row);
        if is_new {
            tracing::error!(%row, "a memory cannot be read: the database is damaged; run 'memcloud doctor'");
        }
    }

    /// Notes the failure of a read or a write, if it is one of damage.
    pub fn note(&self, error: &Error) {
        if let Error::StorageDamaged { what } = error {
            self.found().other.get_or_insert_with(|| what.clone());
        }
    }

    /// The rows that cannot be read.
    pub fn rows(&self) -> Vec<Row> {
        self.found().rows.iter().copied().collect()
    }

    /// Forgets rows that are gone.
    pub fn forget(&self, gone: &[Row]) {
        self.found().rows.retain(|row| !gone.contains(row));
    }

    /// Refuses when anything could not be read.
    pub fn check(&self) -> Result<(), Error> {
        let Found { rows, other } = &*self.found();
        if rows.is_empty() && other.is_none() {
            return Ok(());
        }
        let named: Vec<String> = rows.iter().take(NAMED).map(Row::to_string).collect();
        let more = if rows.len() > NAMED { ", …" } else { "" };
        let unreadable = (!rows.is_empty())
            .then(|| format!("{} memories cannot be read (rows {}{more})", rows.len(), named.join(", ")));
        let what = [unreadable, other.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        Err(Error::StorageDamaged { what })
    }
}
