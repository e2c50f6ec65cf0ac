//! Server-sent events as an answer, and a log of them that a client can resume where its connection broke.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::Map;
use tokio::sync::watch;
use tokio::time::timeout;

/// After this long without an event, a stream sends a comment: proxies cut connections that are silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The name of the event that says that events before the next one are lost.
const LOST: &str = "lost";
/// Tells proxies not to buffer the answer.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// An answer of these events, each sent as soon as it is ready.
pub fn event_stream(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = unfold(Box::pin(events), async |mut events| {
        let event = match timeout(KEEP_ALIVE, events.next()).await {
            Ok(event) => event?,
            Err(_) => Bytes::from_static(b": still there\n\n"),
        };
        Some((Ok::<_, Infallible>(event), events))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store"), (UNBUFFERED, "no")];
    (headers, Body::from_stream(body)).into_response()
}

/// Events in order, numbered from 1. The newest are kept for clients that come back with a `Last-Event-ID`.
///
/// Clients read at their own pace. One that falls behind by more events than are kept gets an event `lost` in their
/// place, so a slow client costs no memory.
pub struct EventLog {
    capacity: usize,
    kept: Mutex<Kept>,
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    /// The newest events with their numbers, as they are sent.
    events: VecDeque<(u64, Bytes)>,
    /// The number of the newest event.
    newest: u64,
    closed: bool,
}

enum Next {
    Event(u64, Bytes),
    Wait,
    End,
}

impl EventLog {
    /// An empty log that keeps this many events, at least one.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), kept: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Publishes an event and returns its number. After [`EventLog::close`] it is dropped.
    pub fn publish(&self, name: &str, data: &impl Serialize) -> u64 {
        let mut kept = self.kept();
        if kept.closed {
            return kept.newest;
        }
        kept.newest += 1;
        let number = kept.newest;
        kept.events.push_back((number, memcloud_sse::numbered(number, name, data)));
        if kept.events.len() > self.capacity {
            kept.events.pop_front();
        }
        drop(kept);
        self.newest.send_replace(number);
        number
    }

    /// Ends the streams of all clients after the newest event.
    pub fn close(&self) {
        self.kept().closed = true;
        self.newest.send_modify(|_| ());
    }

    /// The events after this number, as an answer.
    pub fn response(self: Arc<Self>, after: u64) -> Response {
        let news = self.newest.subscribe();
        event_stream(unfold((self, news, after), async |(log, mut news, after)| {
            loop {
                match log.next(after) {
                    Next::Event(number, event) => return Some((event, (log, news, number))),
                    Next::End => return None,
                    // The log is part of the stream, so its sender lives.
                    Next::Wait => news.changed().await.ok()?,
                }
            }
        }))
    }

    fn next(&self, after: u64) -> Next {
        let kept = self.kept();
        // A number from before a restart may be larger than any; then everything that is kept is new.
        let after = if after > kept.newest { 0 } else { after };
        let Some(first) = kept.events.front().map(|(number, _)| *number) else {
            return if kept.closed { Next::End } else { Next::Wait };
        };
        if after + 1 < first {
            // The next one that is kept follows this number.
            return Next::Event(first - 1, memcloud_sse::numbered(first - 1, LOST, &Map::new()));
        }
        match kept.events.get((after + 1 - first) as usize) {
            Some((number, event)) => Next::Event(*number, event.clone()),
            None if kept.closed => Next::End,
            None => Next::Wait,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of the last event that a client got; 0 for a client that begins.
pub fn last_event_id(headers: &HeaderMap) -> u64 {
    let id = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    id.and_then(|id| id.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn log(capacity: usize, events: u64) -> Arc<EventLog> {
        let log = EventLog::new(capacity);
        for number in 1..=events {
            assert_eq!(log.publish("step", &number), number);
        }
        Arc::new(log)
    }

    async fn read(log: &Arc<EventLog>, after: u64) -> String {
        let body = Arc::clone(log).response(after).into_body();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    fn step(number: u64) -> String {
        format!("id: {number}\nevent: step\ndata: {number}\n\n")
    }

    #[tokio::test]
    async fn a_client_resumes_after_its_last_event() {
        let log = log(10, 3);
        log.close();
        assert_eq!(read(&log, 0).await, step(1) + &step(2) + &step(3));
        assert_eq!(read(&log, 2).await, step(3));
        assert_eq!(read(&log, 3).await, "");
        assert_eq!(read(&log, 99).await, step(1) + &step(2) + &step(3), "the log began again meanwhile");
    }

    #[tokio::test]
    async fn events_that_are_no_longer_kept_are_reported_as_lost() {
        let log = log(2, 5);
        log.close();
        assert_eq!(read(&log, 1).await, "id: 3\nevent: lost\ndata: {}\n\n".to_owned() + &step(4) + &step(5));
        assert_eq!(read(&log, 3).await, step(4) + &step(5));
    }

    #[tokio::test]
    async fn later_events_arrive_as_they_are_published() {
        let log = log(10, 1);
        let mut body = Arc::clone(&log).response(0).into_body();
        let mut frame = async || {
            let frame = body.frame().await.map(|frame| frame.unwrap().into_data().unwrap());
            frame.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        assert_eq!(frame().await, Some(step(1)));
        let publishing = Arc::clone(&log);
        let (arrived, ()) = tokio::join!(frame(), async move {
            publishing.publish("step", &2);
        });
        assert_eq!(arrived, Some(step(2)));
        log.close();
        assert_eq!(log.publish("step", &3), 2, "nothing follows the end");
        assert_eq!(frame().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_is_kept_alive() {
        let log = log(10, 0);
        let mut body = log.response(0).into_body();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(frame.starts_with(b":"), "{frame:?}");
    }

    #[test]
    fn the_last_event_id_is_a_number() {
        for (sent, number) in [("7", 7), ("", 0), ("-1", 0), ("seven", 0)] {
            let headers = HeaderMap::from_iter([("last-event-id".parse().unwrap(), sent.parse().unwrap())]);
            assert_eq!(last_event_id(&headers), number, "{sent}");
        }
    }
}
