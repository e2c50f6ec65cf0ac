use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::sync::{Mutex, MutexGuard, PoisonError};

use memcloud_domain::{Error, FactId};

/// A row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DamagedRow<Episode> {
    /// A row of episodes, as the engine's own tools name it.
    Episode(Episode),
    /// A row of facts.
    Fact(FactId),
    /// A row of API keys, by the id that is stored.
    Key(String),
}

impl<Episode> DamagedRow<Episode> {
    /// The same with another name for a row of episodes.
    pub fn map<Other>(self, name: impl FnOnce(Episode) -> Other) -> DamagedRow<Other> {
        match self {
            Self::Episode(row) => DamagedRow::Episode(name(row)),
            Self::Fact(id) => DamagedRow::Fact(id),
            Self::Key(id) => DamagedRow::Key(id),
        }
    }

    /// What rows of this kind hold, in the plural.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Episode(_) => "memories",
            Self::Fact(_) => "facts",
            Self::Key(_) => "API keys",
        }
    }
}

impl<Episode: Display> Display for DamagedRow<Episode> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Episode(row) => row.fmt(f),
            Self::Fact(id) => id.fmt(f),
            Self::Key(id) => id.fmt(f),
        }
    }
}

/// What a store could not read since it was opened. `Episode` names a row of episodes.
#[derive(Debug)]
pub struct Damage<Episode> {
    found: Mutex<Found<Episode>>,
    is_logged: bool,
}

#[derive(Debug)]
struct Found<Episode> {
    rows: BTreeSet<DamagedRow<Episode>>,
    /// The first failure that no single row explains. Whatever is stored now may be lost as well.
    structure: Option<String>,
    /// The first failure that concerns anything else.
    other: Option<String>,
}

/// How many rows of a kind are named.
const NAMED: usize = 10;

impl<Episode> Default for Damage<Episode> {
    fn default() -> Self {
        let found = Found { rows: BTreeSet::new(), structure: None, other: None };
        Self { found: Mutex::new(found), is_logged: true }
    }
}

impl<Episode: Ord + Copy + Display> Damage<Episode> {
    fn found(&self) -> MutexGuard<'_, Found<Episode>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None yet. For a second look at damage that the log has already.
    pub fn unlogged() -> Self {
        Self { is_logged: false, ..Self::default() }
    }

    /// Notes a row that cannot be read.
    pub fn note_row(&self, row: DamagedRow<Episode>) {
        let (kind, name) = (row.kind(), row.to_string());
        let is_new = self.found().rows.insert(row);
        if is_new && self.is_logged {
            tracing::error!(kind, row = name, "a row cannot be read: the database is damaged");
        }
    }

    /// Notes the failure of a read or a write, if it is one of damage.
    pub fn note(&self, error: &Error) {
        if let Error::StorageDamaged { what } = error {
            self.found().other.get_or_insert_with(|| what.clone());
        }
    }

    /// Notes a failure that no single row explains.
    pub fn note_structure(&self, what: impl FnOnce() -> String) {
        let mut found = self.found();
        if found.structure.is_none() {
            let what = what();
            tracing::error!(what, "the database is damaged: nothing more is stored");
            found.structure = Some(what);
        }
    }

    /// Refuses to store while there is a failure that no single row explains.
    pub fn refuse_stores(&self) -> Result<(), Error> {
        match &self.found().structure {
            Some(what) => Err(Error::DamagedReadOnly { what: what.clone() }),
            None => Ok(()),
        }
    }

    /// The rows that cannot be read, kind by kind.
    pub fn rows(&self) -> Vec<DamagedRow<Episode>> {
        self.found().rows.iter().cloned().collect()
    }

    /// The rows of episodes that cannot be read.
    pub fn episodes(&self) -> Vec<Episode> {
        let of_episode =
            |row: &DamagedRow<Episode>| if let DamagedRow::Episode(row) = row { Some(*row) } else { None };
        self.found().rows.iter().filter_map(of_episode).collect()
    }

    /// Refuses an episode that cannot be read, which does not count as one that is not there.
    pub fn refuse_unreadable(&self, episode: Episode) -> Result<(), Error> {
        if self.found().rows.contains(&DamagedRow::Episode(episode)) {
            return Err(Error::StorageDamaged { what: format!("the memory {episode} cannot be read") });
        }
        Ok(())
    }

    /// Forgets rows that are gone.
    pub fn forget(&self, is_gone: impl Fn(&DamagedRow<Episode>) -> bool) {
        self.found().rows.retain(|row| !is_gone(row));
    }

    /// Refuses when anything could not be read.
    pub fn check(&self) -> Result<(), Error> {
        let Found { rows, structure, other } = &*self.found();
        if rows.is_empty() && structure.is_none() && other.is_none() {
            return Ok(());
        }
        let rows: Vec<&DamagedRow<Episode>> = rows.iter().collect();
        let unreadable = rows.chunk_by(|one, next| one.kind() == next.kind()).map(|rows| {
            let named: Vec<String> = rows.iter().take(NAMED).map(ToString::to_string).collect();
            let more = if rows.len() > NAMED { ", …" } else { "" };
            format!("{} {} cannot be read (rows {}{more})", rows.len(), rows[0].kind(), named.join(", "))
        });
        let what = unreadable.chain(structure.clone()).chain(other.clone()).collect::<Vec<_>>().join("; ");
        Err(Error::StorageDamaged { what })
    }
}
