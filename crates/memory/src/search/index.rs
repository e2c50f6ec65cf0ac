//! The ranking index of one space: everything that ranking reads, in memory, in columns by row number.
//!
//! It is derived from the engine's history and can be thrown away at any time. Rows are numbered in the order in which
//! they were learned; a removed row's number is not used again, and [`SpaceIndex::needs_rebuild`] says when too many are dead.

use std::collections::{BTreeSet, HashMap};

use half::f16;
use memcloud_domain::{EpisodeId, TimeRange};
use memcloud_kernels::scan;

use crate::text::analysis::Analysis;
use crate::text::cues::Cues;
use memcloud_ports::{IndexRow, Sequence};

/// A row's number.
pub(crate) type Row = u32;

/// No row: the end of a chain.
const NONE: Row = Row::MAX;

/// A pause this long in a session, in microseconds, begins a new segment: what was said before it is no longer the
/// context of what follows. Six hours divides an evening from the next morning.
const SEGMENT_GAP: i64 = 6 * 3_600 * 1_000_000;

/// How many rows are passed by to find the place of one that comes late.
const MAX_BACKTRACK: usize = 64;

/// An occurrence of a word: in which row, and how often (255 stands for more).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Posting {
    pub(crate) row: Row,
    pub(crate) count: u8,
}

/// Everything that ranking needs to know of a space.
#[derive(Default)]
pub(crate) struct SpaceIndex {
    pub(crate) sequence: Sequence,
    rows: HashMap<EpisodeId, Row>,
    live: usize,
    names: Names,
    /// The newest row of each session, by the session's number. Its rows hang together by `previous` and `next`, in time
    /// order.
    session_order: Vec<Row>,
    segments: u32,
    /// Whether a row came or went in the middle of a session, so that segments may have merged or parted.
    unsettled: bool,
    /// Sessions with rows that are not in their chain yet.
    disordered: BTreeSet<u32>,
    columns: Columns,
    pub(crate) vectors: Vectors,
    postings: HashMap<u32, Vec<Posting>>,
    properties: HashMap<u64, Vec<Row>>,
    /// Rows by producer, as many as are live: who speaks in this space.
    producers: HashMap<u32, usize>,
}

/// What is known of each row, by its number.
#[derive(Default)]
struct Columns {
    ids: Vec<EpisodeId>,
    live: Vec<bool>,
    sessions: Vec<u32>,
    producers: Vec<u32>,
    recipients: Vec<u32>,
    kinds: Vec<u32>,
    created_at: Vec<i64>,
    cues: Vec<Cues>,
    previous: Vec<Row>,
    next: Vec<Row>,
    segments: Vec<u32>,
}

/// Names (of sessions, people and kinds) and their numbers.
#[derive(Default)]
struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }
}

/// The vectors of the rows, in two precisions: eight bits to scan, sixteen to be exact about the best.
#[derive(Default)]
pub(crate) struct Vectors {
    pub(crate) dimensions: usize,
    /// Row after row; zeros where a row has no vector.
    pub(crate) codes: Vec<i8>,
    /// What a row's codes are to be multiplied with; 0 where a row has no vector.
    pub(crate) scales: Vec<f32>,
    pub(crate) exact: Vec<f16>,
}

impl Vectors {
    fn push(&mut self, vector: Option<&[f16]>) {
        if self.dimensions == 0
            && let Some(vector) = vector
        {
            // The first vector of the space tells the length; rows before it get theirs of zeros.
            self.dimensions = vector.len();
            self.codes.resize(self.scales.len() * self.dimensions, 0);
            self.exact.resize(self.scales.len() * self.dimensions, f16::ZERO);
        }
        let start = self.codes.len();
        self.codes.resize(start + self.dimensions, 0);
        if let Some(vector) = vector.filter(|vector| vector.len() == self.dimensions) {
            let wide: Vec<f32> = vector.iter().map(|x| x.to_f32()).collect();
            self.scales.push(scan::quantize_i8(&wide, &mut self.codes[start..]));
            self.exact.extend_from_slice(vector);
        } else {
            self.scales.push(0.0);
            self.exact.resize(start + self.dimensions, f16::ZERO);
        }
    }

    /// The exact similarity of a row to a query.
    pub(crate) fn similarity(&self, row: Row, query: &[f32]) -> f32 {
        let start = row as usize * self.dimensions;
        let vector = &self.exact[start..start + self.dimensions];
        vector.iter().zip(query).map(|(a, b)| a.to_f32() * b).sum()
    }
}

impl SpaceIndex {
    /// Learns of a row, or learns it anew.
    pub(crate) fn put(&mut self, id: EpisodeId, row: &IndexRow, analysis: &Analysis) {
        let number = self.columns.ids.len() as Row;
        self.rows.insert(id, number);
        let session = self.names.number(&row.session);
        let producer = self.names.number(&row.producer);
        *self.producers.entry(producer).or_default() += 1;
        let columns = &mut self.columns;
        columns.ids.push(id);
        columns.live.push(true);
        columns.sessions.push(session);
        columns.producers.push(producer);
        columns.recipients.push(self.names.number(&row.produced_for));
        columns.kinds.push(self.names.number(&row.kind));
        columns.created_at.push(row.created_at);
        columns.cues.push(analysis.cues);
        columns.previous.push(NONE);
        columns.next.push(NONE);
        columns.segments.push(0);
        self.live += 1;
        self.link(number, session);
        self.vectors.push(row.vector.as_deref());
        for &(term, count) in &analysis.terms {
            self.postings.entry(term).or_default().push(Posting { row: number, count });
        }
        for &property in &analysis.properties {
            self.properties.entry(property).or_default().push(number);
        }
    }

    /// Forgets rows. What is not known is passed over. One pass over the postings, however many there are.
    pub(crate) fn remove(&mut self, ids: &[EpisodeId]) {
        let mut any = false;
        for id in ids {
            if let Some(row) = self.rows.remove(id) {
                self.unlink(row);
                self.columns.live[row as usize] = false;
                self.live -= 1;
                any = true;
                let producer = self.columns.producers[row as usize];
                if let Some(count) = self.producers.get_mut(&producer) {
                    *count -= 1;
                }
            }
        }
        if any {
            let live = &self.columns.live;
            self.postings.retain(|_, list| {
                list.retain(|posting| live[posting.row as usize]);
                !list.is_empty()
            });
            self.properties.retain(|_, list| {
                list.retain(|row| live[*row as usize]);
                !list.is_empty()
            });
            self.producers.retain(|_, count| *count > 0);
        }
    }

    /// Hangs a row into its session's chain, after every row that did not happen later.
    fn link(&mut self, row: Row, session: u32) {
        let session = session as usize;
        if self.session_order.len() <= session {
            self.session_order.resize(session + 1, NONE);
        }
        let columns = &mut self.columns;
        let moment = columns.created_at[row as usize];
        let mut after = NONE;
        let mut before = self.session_order[session];
        let mut steps = 0;
        while before != NONE && columns.created_at[before as usize] > moment {
            after = before;
            before = columns.previous[before as usize];
            steps += 1;
            if steps == MAX_BACKTRACK {
                // A history that comes backwards would be walked for each of its rows: it is sorted once instead.
                self.disordered.insert(session as u32);
                return;
            }
        }
        columns.previous[row as usize] = before;
        columns.next[row as usize] = after;
        if before != NONE {
            columns.next[before as usize] = row;
        }
        match after {
            NONE => {
                self.session_order[session] = row;
                self.assign_segment(row, before);
            }
            after => {
                columns.previous[after as usize] = row;
                self.unsettled = true;
            }
        }
    }

    /// Seats a row in the segment of the row before it, or in a new one.
    fn assign_segment(&mut self, row: Row, before: Row) {
        let columns = &mut self.columns;
        let moment = columns.created_at[row as usize];
        columns.segments[row as usize] = match before {
            before
                if before != NONE
                    && moment.saturating_sub(columns.created_at[before as usize]) <= SEGMENT_GAP =>
            {
                columns.segments[before as usize]
            }
            _ => {
                self.segments += 1;
                self.segments - 1
            }
        };
    }

    /// Seats every row anew if any came or went in the middle of a session. To be called after the last
    /// [`put`](Self::put) or [`remove`](Self::remove).
    pub(crate) fn settle(&mut self) {
        for session in std::mem::take(&mut self.disordered) {
            self.sort_chain(session);
            self.unsettled = true;
        }
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        self.segments = 0;
        for chain in 0..self.session_order.len() {
            let mut rows = Vec::new();
            let mut row = self.session_order[chain];
            while row != NONE {
                rows.push(row);
                row = self.columns.previous[row as usize];
            }
            for &row in rows.iter().rev() {
                self.assign_segment(row, self.columns.previous[row as usize]);
            }
        }
    }

    /// Hangs all rows of a session together anew, in time order.
    fn sort_chain(&mut self, session: u32) {
        let columns = &mut self.columns;
        let of_session =
            |row: &Row| columns.live[*row as usize] && columns.sessions[*row as usize] == session;
        let mut rows: Vec<Row> = (0..columns.ids.len() as Row).filter(of_session).collect();
        rows.sort_by_key(|&row| columns.created_at[row as usize]);
        let mut before = NONE;
        for &row in &rows {
            columns.previous[row as usize] = before;
            columns.next[row as usize] = NONE;
            if before != NONE {
                columns.next[before as usize] = row;
            }
            before = row;
        }
        self.session_order[session as usize] = before;
    }

    fn unlink(&mut self, row: Row) {
        let columns = &mut self.columns;
        let (previous, next) = (columns.previous[row as usize], columns.next[row as usize]);
        if previous != NONE {
            columns.next[previous as usize] = next;
        }
        match next {
            NONE => self.session_order[columns.sessions[row as usize] as usize] = previous,
            next => columns.previous[next as usize] = previous,
        }
        self.unsettled = true;
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// One more than the highest row number.
    pub(crate) fn end(&self) -> usize {
        self.columns.ids.len()
    }

    /// Whether so many rows are dead that the index is better built anew.
    pub(crate) fn needs_rebuild(&self) -> bool {
        let dead = self.end() - self.live;
        dead > 1_024 && dead > self.live / 2
    }

    pub(crate) fn is_live(&self, row: Row) -> bool {
        self.columns.live[row as usize]
    }

    pub(crate) fn id(&self, row: Row) -> EpisodeId {
        self.columns.ids[row as usize]
    }

    pub(crate) fn session(&self, row: Row) -> u32 {
        self.columns.sessions[row as usize]
    }

    pub(crate) fn producer(&self, row: Row) -> u32 {
        self.columns.producers[row as usize]
    }

    pub(crate) fn recipient(&self, row: Row) -> u32 {
        self.columns.recipients[row as usize]
    }

    pub(crate) fn kind(&self, row: Row) -> u32 {
        self.columns.kinds[row as usize]
    }

    /// Whether a row happened within this range.
    pub(crate) fn happened_in(&self, row: Row, range: TimeRange) -> bool {
        (range.start.as_micros()..range.end.as_micros()).contains(&self.columns.created_at[row as usize])
    }

    pub(crate) fn cues(&self, row: Row) -> Cues {
        self.columns.cues[row as usize]
    }

    /// The segment in which a row was said: a stretch of its session without a long pause.
    pub(crate) fn segment(&self, row: Row) -> u32 {
        self.columns.segments[row as usize]
    }

    /// One more than the highest number of a segment.
    pub(crate) fn segments(&self) -> usize {
        self.segments as usize
    }

    /// The row said just before this one in its segment.
    pub(crate) fn previous(&self, row: Row) -> Option<Row> {
        self.in_same_segment(row, self.columns.previous[row as usize])
    }

    /// The row said just after this one in its segment.
    pub(crate) fn next(&self, row: Row) -> Option<Row> {
        self.in_same_segment(row, self.columns.next[row as usize])
    }

    fn in_same_segment(&self, row: Row, other: Row) -> Option<Row> {
        (other != NONE && self.segment(other) == self.segment(row)).then_some(other)
    }

    /// Where a word occurs.
    pub(crate) fn postings(&self, term: u32) -> &[Posting] {
        self.postings.get(&term).map_or(&[], Vec::as_slice)
    }

    /// The rows whose metadata has this property.
    pub(crate) fn with_property(&self, property: u64) -> &[Row] {
        self.properties.get(&property).map_or(&[], Vec::as_slice)
    }

    /// The number of a name, if any row bears it.
    pub(crate) fn number_of(&self, name: &str) -> Option<u32> {
        self.names.numbers.get(name).copied()
    }

    /// Everyone who has said something, with their numbers.
    pub(crate) fn producers(&self) -> impl Iterator<Item = (u32, &str)> {
        self.producers.keys().map(|&number| (number, self.names.names[number as usize].as_str()))
    }

    /// About how much memory the index takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let postings: usize =
            self.postings.values().map(|list| 48 + list.capacity() * size_of::<Posting>()).sum();
        let properties: usize =
            self.properties.values().map(|list| 48 + list.capacity() * size_of::<Row>()).sum();
        // An id, its entry in the map, and 4 to 8 bytes for each of the other columns.
        let rows = self.end() * (16 + 40 + 48);
        postings + properties + rows + self.end() * (4 + self.vectors.dimensions * 3)
    }
}
