//! Server-sent events: [`Events`] reads them from bytes as they arrive; [`named`], [`numbered`] and [`data`] write them.
//!
//! Other crates (`sse-stream` and similar) return the fields of an event but not its bytes, end at the first byte that is
//! not UTF-8, and drop an event that the end of the stream cuts off. Here the bytes matter: a streamed answer is passed on
//! as received, with unknown fields and comments, and is only read in passing.
//!
//! ```
//! use memcloud_sse::Events;
//!
//! let mut events = Events::default();
//! events.push(b"data: one\n\nda");
//! assert_eq!(events.next_event().unwrap().unwrap().data.as_deref(), Some("one"));
//! assert!(events.next_event().unwrap().is_none());
//! events.push(b"ta: two\r\n\r\n");
//! assert_eq!(&events.next_event().unwrap().unwrap().raw[..], b"data: two\r\n\r\n");
//! ```

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use thiserror::Error;

/// The default limit for one event. The longest known events contain a whole tool call.
pub const EVENT_BYTES: usize = 8 << 20;

const BOM: &str = "\u{feff}";

/// The bytes of an event with this name.
pub fn named(name: &str, data: &impl Serialize) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {}\n\n", json(data)))
}

/// The bytes of an event with this name and id. A client that comes back sends the id as its `Last-Event-ID`.
pub fn numbered(id: u64, name: &str, data: &impl Serialize) -> Bytes {
    Bytes::from(format!("id: {id}\nevent: {name}\ndata: {}\n\n", json(data)))
}

/// The bytes of an event without a name, as `OpenAI`'s streams have them.
pub fn data(data: &impl Serialize) -> Bytes {
    Bytes::from(format!("data: {}\n\n", json(data)))
}

fn json(data: &impl Serialize) -> String {
    // Texts, numbers and maps with text keys always become JSON, which has no line ends.
    serde_json::to_string(data).unwrap_or_default()
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its bytes, with the empty line at its end. An empty line alone is also an event, without a name or data.
    pub raw: Bytes,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its data lines, joined. `None` when it has none, such as a comment that keeps the connection alive.
    pub data: Option<String>,
}

/// An event exceeds the limit.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("an event is longer than {limit} bytes")]
pub struct EventTooLong {
    /// The limit, in bytes.
    pub limit: usize,
}

/// Takes bytes in any pieces and returns events. The `raw` bytes of all events together are the bytes that were pushed.
#[derive(Debug)]
pub struct Events {
    waiting: BytesMut,
    /// Where the current line begins.
    line: usize,
    /// Up to where no line end was found.
    looked: usize,
    /// Whether no event has been returned yet: a byte order mark may precede the first.
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

    /// The next complete event, if there is one. After an error there are no more.
    ///
    /// An event that ends with a carriage return so far is complete only after the next byte has arrived, because a line
    /// feed would belong to it.
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

    /// What is left at the end of the stream: an event without its empty line, perhaps cut off. Call this after
    /// [`next_event`](Self::next_event) has returned the last event.
    pub fn finish(&mut self) -> Option<Event> {
        let end = self.waiting.len();
        (end > 0).then(|| self.take(end).ok()).flatten()
    }

    /// Where the current line ends, and where the next one begins.
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
            // It stays in the buffer, so that the next call fails alike.
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
        // A carriage return with a line feed yields an empty line in between, which has no field.
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
