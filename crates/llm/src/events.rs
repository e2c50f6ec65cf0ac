//! Server-sent events, out of bytes as they arrive.
//!
//! The crates that do this (`sse-stream` and others) give the fields of an event but not the bytes it came in, end at
//! the first byte that is not UTF-8, and drop an event that the end of the stream cut off. Here the bytes matter: a
//! streamed answer is handed on as it came, unknown fields and comments included, and is read only beside that.
//!
//! ```
//! use memcloud_llm::events::Events;
//!
//! let mut events = Events::default();
//! events.push(b"data: one\n\nda");
//! assert_eq!(events.next_event().unwrap().unwrap().data.as_deref(), Some("one"));
//! assert!(events.next_event().unwrap().is_none());
//! events.push(b"ta: two\r\n\r\n");
//! assert_eq!(&events.next_event().unwrap().unwrap().raw[..], b"data: two\r\n\r\n");
//! ```

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// How long one event may be, unless said otherwise. The longest that is known to happen is a whole call of a tool in
/// one event.
pub const EVENT_BYTES: usize = 8 << 20;

const BOM: &str = "\u{feff}";

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The bytes it came in, with the empty line at its end. An empty line alone is an event too, which says nothing.
    pub raw: Bytes,
    /// What kind of event it is, when it says so.
    pub name: Option<String>,
    /// What it says: its data lines, joined. `None` when it has none, as a comment that keeps a connection alive.
    pub data: Option<String>,
}

/// An event is longer than anything that is read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("an event is longer than {limit} bytes")]
pub struct EventTooLong {
    /// How much is read.
    pub limit: usize,
}

/// Takes bytes in any pieces and gives events. The `raw` of all events together are the bytes that were pushed.
#[derive(Debug)]
pub struct Events {
    waiting: BytesMut,
    /// Where the line begins whose end has not been found yet.
    line: usize,
    /// Up to where no end of a line has been found.
    looked: usize,
    /// Whether no event has been given yet: a byte order mark may stand before the first.
    first: bool,
    limit: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self::with_limit(EVENT_BYTES)
    }
}

impl Events {
    /// Reads events up to this length.
    pub fn with_limit(limit: usize) -> Self {
        Self { waiting: BytesMut::new(), line: 0, looked: 0, first: true, limit }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next event that is complete, if there is one. After an error there are no more.
    ///
    /// An event whose last byte so far is a carriage return is not known to be complete before the byte behind it has
    /// come, because a line feed there would belong to it.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLong> {
        while let Some((end, after)) = self.end_of_line() {
            let empty = self.is_empty(end);
            (self.line, self.looked) = (after, after);
            if empty {
                return self.take(after).map(Some);
            }
        }
        if self.waiting.len() > self.limit { Err(EventTooLong { limit: self.limit }) } else { Ok(None) }
    }

    /// What is left when the stream has ended: an event without its empty line, perhaps cut off. Call it when
    /// [`next_event`](Self::next_event) gives no more.
    pub fn finish(&mut self) -> Option<Event> {
        let end = self.waiting.len();
        (end > 0).then(|| self.take(end).ok()).flatten()
    }

    /// Where the line ends, and where the one after it begins.
    fn end_of_line(&mut self) -> Option<(usize, usize)> {
        let rest = &self.waiting[self.looked..];
        let Some(found) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            self.looked = self.waiting.len();
            return None;
        };
        let end = self.looked + found;
        self.looked = end;
        match (self.waiting[end], self.waiting.get(end + 1)) {
            (b'\r', None) => None,
            (b'\r', Some(b'\n')) => Some((end, end + 2)),
            _ => Some((end, end + 1)),
        }
    }

    fn is_empty(&self, end: usize) -> bool {
        let line = &self.waiting[self.line..end];
        line.is_empty() || (self.first && self.line == 0 && line == BOM.as_bytes())
    }

    fn take(&mut self, end: usize) -> Result<Event, EventTooLong> {
        (self.line, self.looked) = (0, 0);
        if end > self.limit {
            // It stays, so that whoever asks again is told the same.
            return Err(EventTooLong { limit: self.limit });
        }
        let raw = self.waiting.split_to(end).freeze();
        let first = std::mem::take(&mut self.first);
        Ok(Event::read(&raw, first))
    }
}

impl Event {
    fn read(raw: &Bytes, first: bool) -> Self {
        let text = String::from_utf8_lossy(raw);
        let text = if first { text.strip_prefix(BOM).unwrap_or(&text) } else { &text };
        let (mut name, mut data) = (None, None::<String>);
        // A carriage return and line feed gives an empty line in between, which says nothing.
        for line in text.split(['\n', '\r']) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match (field, &mut data) {
                ("data", Some(data)) => {
                    data.push('\n');
                    data.push_str(value);
                }
                ("data", None) => data = Some(value.to_owned()),
                ("event", _) => name = Some(value.to_owned()),
                _ => {}
            }
        }
        Self { name, data, raw: raw.clone() }
    }
}
