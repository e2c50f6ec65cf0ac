//! Reads that end before they are large.

use memcloud_domain::{Episode, EpisodeId, Error, Space};

use crate::{Change, ChangeKind, EpisodeStore};

/// A read of rows ends with the row that brings it to roughly this much memory, in bytes, even when fewer than its limit were
/// read. The caller reads on after the last row. So no read takes more than this and one row.
pub const READ_BYTES: usize = 2 << 20;

/// The rows that one read has gathered.
#[derive(Debug)]
pub struct Gathered<T> {
    rows: Vec<T>,
    bytes: usize,
}

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), bytes: 0 }
    }
}

impl<T> Gathered<T> {
    /// Adds a row of about this size, and says whether there is room for another.
    pub fn add(&mut self, row: T, bytes: usize) -> bool {
        self.rows.push(row);
        self.bytes += bytes;
        self.bytes < READ_BYTES
    }

    /// The rows, in the order in which they were added.
    pub fn into_rows(self) -> Vec<T> {
        self.rows
    }

    /// Gathers rows until they are large together or there are no more.
    pub fn from_rows<E>(
        rows: impl IntoIterator<Item = Result<T, E>>,
        size: impl Fn(&T) -> usize,
    ) -> Result<Vec<T>, E> {
        let mut gathered = Self::default();
        for row in rows {
            let row = row?;
            let bytes = size(&row);
            if !gathered.add(row, bytes) {
                break;
            }
        }
        Ok(gathered.rows)
    }
}

impl Change {
    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let ChangeKind::Put(row) = &self.kind else { return size_of::<Self>() };
        let names = [&row.session, &row.producer, &row.produced_for, &row.kind];
        let names = names.iter().map(|name| name.len()).sum::<usize>();
        let vector = row.vector.as_ref().map_or(0, |vector| size_of_val(vector.as_slice()));
        size_of::<Self>() + size_of_val(&**row) + names + vector + row.analysis.len()
    }
}

/// Episodes that are read in parts, in the order of the ids.
pub struct Parts<'a> {
    store: &'a dyn EpisodeStore,
    space: &'a Space,
    rest: &'a [EpisodeId],
}

impl<'a> Parts<'a> {
    /// The episodes with these ids.
    pub fn new(store: &'a dyn EpisodeStore, space: &'a Space, ids: &'a [EpisodeId]) -> Self {
        Self { store, space, rest: ids }
    }

    /// Reads the next part; `None` when all are read.
    pub async fn next(&mut self) -> Result<Option<Vec<Episode>>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let part = self.store.episodes(self.space, self.rest).await?;
        let Some(last) = part.last() else { return Ok(None) };
        let read = self.rest.iter().position(|id| *id == last.id).map_or(self.rest.len(), |place| place + 1);
        self.rest = &self.rest[read..];
        Ok(Some(part))
    }
}

/// Reads all of these episodes, in the order of the ids. For few ids, whose episodes are needed at once.
pub async fn read_all(
    store: &dyn EpisodeStore,
    space: &Space,
    ids: &[EpisodeId],
) -> Result<Vec<Episode>, Error> {
    let (mut all, mut parts) = (Vec::with_capacity(ids.len()), Parts::new(store, space, ids));
    while let Some(part) = parts.next().await? {
        all.extend(part);
    }
    Ok(all)
}
