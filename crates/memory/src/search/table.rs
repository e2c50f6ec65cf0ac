//! The rows of a space in columns: everything that a filter reads of an episode, by row number.
//!
//! Rows are numbered in the order in which they were put. The number of a removed row is not used again.

use std::collections::HashMap;

use indexmap::IndexSet;
use memcloud_domain::EpisodeId;
use memcloud_ports::IndexRow;

use crate::text::analysis::Analysis;
use crate::text::properties::encode_path;

/// A row's number.
pub(crate) type Row = u32;

/// The number of a name in a [`Table`].
pub(crate) type Name = u32;

/// The rows of a property, by its encoded value. Ascending; live rows only.
pub(crate) type Property = HashMap<Box<[u8]>, Vec<Row>>;

/// Roughly what a name takes in addition to its text: its slot, its hash, and what the allocator adds.
const NAME_BYTES: usize = 64;

/// Roughly what a path or value takes in addition to its bytes: its entry, a share of empty ones, a first list of rows, and what the
/// allocator adds.
const ENTRY_BYTES: usize = 144;

/// About what a row in a list takes: lists double when they grow.
const ROW_BYTES: usize = 6;

/// The rows of a space.
#[derive(Default)]
pub(crate) struct Table {
    rows: HashMap<EpisodeId, Row>,
    /// The names of sessions, people, roles and kinds, by number.
    names: IndexSet<Box<str>>,
    /// About how much memory the names take.
    names_bytes: usize,
    /// About how much memory the properties take.
    properties_bytes: usize,
    pub(crate) ids: Vec<EpisodeId>,
    pub(crate) live: Vec<bool>,
    pub(crate) sessions: Vec<Name>,
    pub(crate) producers: Vec<Name>,
    pub(crate) recipients: Vec<Name>,
    pub(crate) roles: Vec<Name>,
    pub(crate) kinds: Vec<Name>,
    /// Microseconds of the epoch.
    pub(crate) created_at: Vec<i64>,
    /// By encoded path.
    properties: HashMap<Box<[u8]>, Property>,
}

impl Table {
    /// Adds a row for an episode that has none.
    pub(crate) fn put(&mut self, id: EpisodeId, row: &IndexRow, analysis: &Analysis) -> Row {
        let number = self.ids.len() as Row;
        self.rows.insert(id, number);
        self.ids.push(id);
        self.live.push(true);
        let mut name = |name: &str| {
            self.names.get_index_of(name).unwrap_or_else(|| {
                self.names_bytes += NAME_BYTES + name.len();
                self.names.insert_full(name.into()).0
            }) as Name
        };
        self.sessions.push(name(&row.session));
        self.producers.push(name(&row.producer));
        self.recipients.push(name(&row.produced_for));
        self.roles.push(name(&analysis.role));
        self.kinds.push(name(&row.kind));
        self.created_at.push(row.created_at);
        for (path, value) in analysis.properties.iter() {
            let property = entry(&mut self.properties, path, &mut self.properties_bytes);
            entry(property, value, &mut self.properties_bytes).push(number);
            self.properties_bytes += ROW_BYTES;
        }
        number
    }

    /// Removes the row of an episode, and returns it if there was one. [`sweep`](Self::sweep) completes it.
    pub(crate) fn remove(&mut self, id: EpisodeId) -> Option<Row> {
        let row = self.rows.remove(&id)?;
        self.live[row as usize] = false;
        Some(row)
    }

    /// Takes removed rows out of the properties. One pass, however many there are.
    pub(crate) fn sweep(&mut self) {
        let (live, mut bytes) = (&self.live, 0);
        self.properties.retain(|path, property| {
            property.retain(|value, rows| {
                rows.retain(|&row| live[row as usize]);
                bytes += if rows.is_empty() { 0 } else { ENTRY_BYTES + value.len() + rows.len() * ROW_BYTES };
                !rows.is_empty()
            });
            bytes += if property.is_empty() { 0 } else { ENTRY_BYTES + path.len() };
            !property.is_empty()
        });
        self.properties_bytes = bytes;
    }

    /// How many live rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// One more than the highest row number.
    pub(crate) fn end(&self) -> usize {
        self.ids.len()
    }

    /// The live rows, ascending.
    pub(crate) fn live_rows(&self) -> impl Iterator<Item = Row> {
        (0..self.end() as Row).filter(|&row| self.live[row as usize])
    }

    /// The property at this path, if any row has it.
    pub(crate) fn property(&self, path: &[String]) -> Option<&Property> {
        self.properties.get(encode_path(path).as_slice())
    }

    /// The number of a name, if any row has had it.
    pub(crate) fn number_of(&self, name: &str) -> Option<Name> {
        self.names.get_index_of(name).map(|number| number as Name)
    }

    /// The names, by number.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(Box::as_ref)
    }

    /// About how much memory the table takes, in bytes. Does not grow with the table, so it may be asked after each change.
    pub(crate) fn bytes(&self) -> usize {
        // An id, its entry in the map, and the columns.
        self.names_bytes + self.properties_bytes + self.end() * (16 + 40 + 29)
    }
}

/// The value under these bytes, which begins as the default. Copies the bytes only then, and counts what that takes.
fn entry<'m, V: Default>(map: &'m mut HashMap<Box<[u8]>, V>, key: &[u8], counted: &mut usize) -> &'m mut V {
    if !map.contains_key(key) {
        *counted += ENTRY_BYTES + key.len();
    }
    map.entry(key.into()).or_default()
}
