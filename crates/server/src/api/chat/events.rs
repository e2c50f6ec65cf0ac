//! Server-sent events, each sent as soon as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use futures_util::stream::unfold;
use hyper::body::Bytes;
use memcloud_memory::ChatEvent;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

/// How long a stream may be silent before it sends a comment: proxies close a stream that is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What an event of a turn becomes in the stream.
pub(crate) enum Line {
    /// These bytes.
    Bytes(Bytes),
    /// Nothing.
    Nothing,
    /// These bytes, and the stream ends.
    Last(Bytes),
}

/// An answer that begins with these bytes and continues with the events of a turn.
pub(crate) fn response(
    first: Bytes,
    events: UnboundedReceiver<ChatEvent>,
    line: impl FnMut(ChatEvent) -> Line + Send + 'static,
) -> Response {
    let state = Some((Some(first), events, line));
    let stream = unfold(state, async |state| {
        let (first, mut events, mut line) = state?;
        if let Some(first) = first.filter(|first| !first.is_empty()) {
            return Some((Ok::<_, Infallible>(first), Some((None, events, line))));
        }
        loop {
            let Ok(event) = timeout(KEEP_ALIVE, events.recv()).await else {
                return Some((Ok(Bytes::from_static(b": still there\n\n")), Some((None, events, line))));
            };
            match line(event?) {
                Line::Nothing => {}
                Line::Bytes(bytes) => return Some((Ok(bytes), Some((None, events, line)))),
                Line::Last(bytes) => return Some((Ok(bytes), None)),
            }
        }
    });
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Tells proxies not to buffer the answer.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// One event of this name.
pub(crate) fn named(name: &str, data: &impl Serialize) -> Bytes {
    // Texts, numbers and maps with text keys always become JSON.
    let data = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// One event without a name, as OpenAI's streams have them.
pub(crate) fn data(data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(format!("data: {data}\n\n"))
}
