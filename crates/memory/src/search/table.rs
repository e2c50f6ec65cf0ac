//! The rows of a space in columns: everything that a filter reads of an episode, by row number.
//!
//! Rows are numbered in the order in which they were put. The number of a removed row is not used again.

use std::collections::HashMap;

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

/// The rows of a space.
#[derive(Default)]
pub(crate) struct Table {
    rows: HashMap<EpisodeId, Row>,
    names: Names,
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

/// Names (of sessions, people, roles and kinds) and their numbers.
#[derive(Default)]
struct Names {
    numbers: HashMap<String, Name>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> Name {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as Name;
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }
}

impl Table {
    /// Adds a row for an episode that has none.
    pub(crate) fn put(&mut self, id: EpisodeId, row: &IndexRow, analysis: &Analysis) -> Row {
        let number = self.ids.len() as Row;
        self.rows.insert(id, number);
        self.ids.push(id);
        self.live.push(true);
        self.sessions.push(self.names.number(&row.session));
        self.producers.push(self.names.number(&row.producer));
        self.recipients.push(self.names.number(&row.produced_for));
        self.roles.push(self.names.number(&analysis.role));
        self.kinds.push(self.names.number(&row.kind));
        self.created_at.push(row.created_at);
        for (path, value) in analysis.properties.iter() {
            update(&mut self.properties, path, |property| {
                update(property, value, |rows: &mut Vec<Row>| rows.push(number));
            });
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
        let live = &self.live;
        self.properties.retain(|_, property| {
            property.retain(|_, rows| {
                rows.retain(|&row| live[row as usize]);
                !rows.is_empty()
            });
            !property.is_empty()
        });
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
        self.names.numbers.get(name).copied()
    }

    /// The names, by number.
    pub(crate) fn names(&self) -> &[String] {
        &self.names.names
    }

    /// About how much memory the table takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let values = self.properties.values().flatten();
        let properties: usize =
            values.map(|(value, rows)| 64 + value.len() + rows.capacity() * size_of::<Row>()).sum();
        // An id, its entry in the map, and the columns.
        properties + self.end() * (16 + 40 + 29)
    }
}

/// Changes the value under these bytes, which begins as the default. Copies the bytes only then.
fn update<V: Default>(map: &mut HashMap<Box<[u8]>, V>, bytes: &[u8], change: impl FnOnce(&mut V)) {
    match map.get_mut(bytes) {
        Some(value) => change(value),
        None => change(map.entry(bytes.into()).or_default()),
    }
}
