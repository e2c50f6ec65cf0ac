//! The ranking index of one space: everything that ranking and filters read, in memory, in columns by row number.
//!
//! It is derived from the engine's history and can be thrown away at any time. [`SpaceIndex::needs_rebuild`] says when too
//! many rows are dead.

use std::collections::{BTreeSet, HashMap};

use half::f16;
use memcloud_domain::{EpisodeId, Purpose, TimeRange};
use memcloud_kernels::scan;
use memcloud_ports::{IndexRow, Position};

use crate::search::names::ProducerNames;
pub(crate) use crate::search::table::Row;
use crate::search::table::{Name, Table};
use crate::text::analysis::Analysis;
use crate::text::cues::Cues;

/// No row: the end of a chain.
const NONE: Row = Row::MAX;

/// A pause this long in a session, in microseconds, begins a new segment: what was said before it is no longer the
/// context of what follows. Six hours separate an evening from the next morning.
const SEGMENT_GAP: i64 = 6 * 3_600 * 1_000_000;

/// How far to walk back for the place of an out-of-order row before the whole session is sorted instead.
const MAX_BACKTRACK: usize = 64;

/// Roughly what an index of one row takes in addition to that row: the first allocation of each of its collections.
const FIXED_BYTES: usize = 2_560;

/// Roughly what a word takes in addition to its postings: its entry, a share of empty ones, and a first list.
const WORD_BYTES: usize = 112;

/// About what a posting takes: lists double when they grow.
const POSTING_BYTES: usize = 12;

/// An occurrence of a word: in which row, and how often (255 stands for more).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Posting {
    pub(crate) row: Row,
    pub(crate) count: u8,
}

/// Everything that ranking and filters need to know of a space.
#[derive(Default)]
pub(crate) struct SpaceIndex {
    pub(crate) position: Position,
    /// The episodes that searches find.
    table: Table,
    /// The episodes that only listings show.
    unranked: Table,
    /// The newest row of each session, by the session's number. `previous` and `next` link its rows in time order.
    session_order: Vec<Row>,
    segments: u32,
    /// Whether a row came or went in the middle of a session, so that segments may have merged or parted.
    unsettled: bool,
    /// Sessions with rows that are not linked yet.
    disordered: BTreeSet<Name>,
    links: Links,
    cues: Vec<Cues>,
    pub(crate) vectors: Vectors,
    postings: HashMap<u32, Vec<Posting>>,
    /// About how much memory the postings take.
    postings_bytes: usize,
    /// How many live rows each producer has.
    producers: HashMap<Name, usize>,
    /// The names of those producers.
    pub(crate) names: ProducerNames,
}

/// The neighbors of each row in its session, by row number, and its segment.
#[derive(Default)]
struct Links {
    previous: Vec<Row>,
    next: Vec<Row>,
    segments: Vec<u32>,
}

/// The vectors of the rows, in two precisions: eight bits for the scan, sixteen for the exact scores of the best.
#[derive(Default)]
pub(crate) struct Vectors {
    pub(crate) dimensions: usize,
    /// Row after row; zeros where a row has no vector.
    pub(crate) codes: Vec<i8>,
    /// The factor of each row's codes; 0 where a row has no vector.
    pub(crate) scales: Vec<f32>,
    pub(crate) exact: Vec<f16>,
}

impl Vectors {
    fn push(&mut self, vector: Option<&[f16]>) {
        if self.dimensions == 0
            && let Some(vector) = vector
        {
            // The first vector of the space sets the length; rows before it get zeros.
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
    /// Inserts the row of an episode that has none.
    pub(crate) fn put(&mut self, id: EpisodeId, row: &IndexRow, analysis: &Analysis) {
        if row.purpose != Purpose::Recall {
            self.unranked.put(id, row, analysis);
            return;
        }
        let number = self.table.put(id, row, analysis);
        let producer = self.producer(number);
        let rows = self.producers.entry(producer).or_insert_with(|| {
            self.names.insert(&row.producer, producer);
            0
        });
        *rows += 1;
        self.cues.push(analysis.cues);
        self.links.previous.push(NONE);
        self.links.next.push(NONE);
        self.links.segments.push(0);
        self.link(number);
        self.vectors.push(row.vector.as_deref());
        for &(term, count) in &analysis.terms {
            let postings = self.postings.entry(term).or_insert_with(|| {
                self.postings_bytes += WORD_BYTES;
                Vec::new()
            });
            postings.push(Posting { row: number, count });
            self.postings_bytes += POSTING_BYTES;
        }
    }

    /// Removes the rows of these episodes; unknown ids are ignored. One pass over the postings, however many there are.
    pub(crate) fn remove(&mut self, ids: &[EpisodeId]) {
        let (mut ranked, mut unranked) = (false, false);
        for &id in ids {
            if let Some(row) = self.table.remove(id) {
                ranked = true;
                self.unlink(row);
                if let Some(count) = self.producers.get_mut(&self.table.producers[row as usize]) {
                    *count -= 1;
                }
            } else if self.unranked.remove(id).is_some() {
                unranked = true;
            }
        }
        if ranked {
            let (live, mut bytes) = (&self.table.live, 0);
            self.postings.retain(|_, list| {
                list.retain(|posting| live[posting.row as usize]);
                bytes += if list.is_empty() { 0 } else { WORD_BYTES + list.len() * POSTING_BYTES };
                !list.is_empty()
            });
            self.postings_bytes = bytes;
            let producers = self.producers.len();
            self.producers.retain(|_, count| *count > 0);
            if self.producers.len() < producers {
                self.names.retain(|producer| self.producers.contains_key(&producer));
            }
            self.table.sweep();
        }
        if unranked {
            self.unranked.sweep();
        }
    }

    /// Links a row into its session, after every row that did not happen later.
    fn link(&mut self, row: Row) {
        let session = self.table.sessions[row as usize];
        if self.session_order.len() <= session as usize {
            self.session_order.resize(session as usize + 1, NONE);
        }
        let (links, created_at) = (&mut self.links, &self.table.created_at);
        let moment = created_at[row as usize];
        let mut after = NONE;
        let mut before = self.session_order[session as usize];
        let mut steps = 0;
        while before != NONE && created_at[before as usize] > moment {
            after = before;
            before = links.previous[before as usize];
            steps += 1;
            if steps == MAX_BACKTRACK {
                // A history that comes backwards would be walked for each of its rows: it is sorted once instead.
                self.disordered.insert(session);
                return;
            }
        }
        links.previous[row as usize] = before;
        links.next[row as usize] = after;
        if before != NONE {
            links.next[before as usize] = row;
        }
        match after {
            NONE => {
                self.session_order[session as usize] = row;
                self.assign_segment(row, before);
            }
            after => {
                links.previous[after as usize] = row;
                self.unsettled = true;
            }
        }
    }

    /// Assigns a row to the segment of the row before it, or to a new one.
    fn assign_segment(&mut self, row: Row, before: Row) {
        let (links, created_at) = (&mut self.links, &self.table.created_at);
        let pause = |before: Row| created_at[row as usize].saturating_sub(created_at[before as usize]);
        links.segments[row as usize] = if before != NONE && pause(before) <= SEGMENT_GAP {
            links.segments[before as usize]
        } else {
            self.segments += 1;
            self.segments - 1
        };
    }

    /// Assigns all segments again if a row came or went in the middle of a session. Must follow the last
    /// [`put`](Self::put) or [`remove`](Self::remove).
    pub(crate) fn settle(&mut self) {
        for session in std::mem::take(&mut self.disordered) {
            self.sort_session(session);
            self.unsettled = true;
        }
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        self.segments = 0;
        for session in 0..self.session_order.len() {
            let mut rows = Vec::new();
            let mut row = self.session_order[session];
            while row != NONE {
                rows.push(row);
                row = self.links.previous[row as usize];
            }
            for &row in rows.iter().rev() {
                self.assign_segment(row, self.links.previous[row as usize]);
            }
        }
    }

    /// Links all rows of a session again, in time order.
    fn sort_session(&mut self, session: Name) {
        let table = &self.table;
        let mut rows: Vec<Row> =
            table.live_rows().filter(|&row| table.sessions[row as usize] == session).collect();
        rows.sort_by_key(|&row| table.created_at[row as usize]);
        let mut before = NONE;
        for &row in &rows {
            self.links.previous[row as usize] = before;
            self.links.next[row as usize] = NONE;
            if before != NONE {
                self.links.next[before as usize] = row;
            }
            before = row;
        }
        self.session_order[session as usize] = before;
    }

    fn unlink(&mut self, row: Row) {
        let links = &mut self.links;
        let (previous, next) = (links.previous[row as usize], links.next[row as usize]);
        if previous != NONE {
            links.next[previous as usize] = next;
        }
        match next {
            NONE => self.session_order[self.table.sessions[row as usize] as usize] = previous,
            next => links.previous[next as usize] = previous,
        }
        self.unsettled = true;
    }

    /// The episodes that searches find.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// All episodes.
    pub(crate) fn tables(&self) -> [&Table; 2] {
        [&self.table, &self.unranked]
    }

    /// How many live rows there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// One more than the highest row number.
    pub(crate) fn end(&self) -> usize {
        self.table.end()
    }

    /// Whether enough rows are dead that rebuilding the index pays.
    pub(crate) fn needs_rebuild(&self) -> bool {
        let live = self.table.len() + self.unranked.len();
        let dead = self.table.end() + self.unranked.end() - live;
        dead > 1_024 && dead > live / 2
    }

    pub(crate) fn id(&self, row: Row) -> EpisodeId {
        self.table.ids[row as usize]
    }

    pub(crate) fn producer(&self, row: Row) -> Name {
        self.table.producers[row as usize]
    }

    /// Whether a row happened within this range.
    pub(crate) fn happened_in(&self, row: Row, range: TimeRange) -> bool {
        (range.start.as_micros()..range.end.as_micros()).contains(&self.table.created_at[row as usize])
    }

    pub(crate) fn cues(&self, row: Row) -> Cues {
        self.cues[row as usize]
    }

    /// The segment of a row: a stretch of its session without a long pause.
    pub(crate) fn segment(&self, row: Row) -> u32 {
        self.links.segments[row as usize]
    }

    /// One more than the highest number of a segment.
    pub(crate) fn segments(&self) -> usize {
        self.segments as usize
    }

    /// The row just before this one in its segment.
    pub(crate) fn previous(&self, row: Row) -> Option<Row> {
        self.in_same_segment(row, self.links.previous[row as usize])
    }

    /// The row just after this one in its segment.
    pub(crate) fn next(&self, row: Row) -> Option<Row> {
        self.in_same_segment(row, self.links.next[row as usize])
    }

    fn in_same_segment(&self, row: Row, other: Row) -> Option<Row> {
        (other != NONE && self.segment(other) == self.segment(row)).then_some(other)
    }

    /// Where a word occurs.
    pub(crate) fn postings(&self, term: u32) -> &[Posting] {
        self.postings.get(&term).map_or(&[], Vec::as_slice)
    }

    /// About how much memory the index takes, in bytes. The time that this takes does not grow with the index.
    pub(crate) fn bytes(&self) -> usize {
        // Links, segment, cues and the scale of the vector.
        let rows = self.end() * (18 + self.vectors.dimensions * 3);
        let derived = self.names.bytes() + self.postings_bytes;
        FIXED_BYTES + self.table.bytes() + self.unranked.bytes() + derived + rows
    }
}
