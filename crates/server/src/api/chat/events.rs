//! Server-sent events, each on its way as soon as it is there.

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

/// A stream that is silent for so long says that it is still there: proxies cut those that say nothing for a minute.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// What a turn's events become.
pub(super) enum Line {
    /// This.
    Bytes(Bytes),
    /// Nothing.
    Nothing,
    /// This, and it was the last.
    Last(Bytes),
}

/// An answer that begins with these bytes and goes on with the events of a turn.
pub(super) fn response(
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
            let Ok(event) = timeout(SIGN_OF_LIFE, events.recv()).await else {
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
    // Proxies that gather answers before they hand them on heed this.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// One event of this name.
pub(super) fn named(name: &str, data: &impl Serialize) -> Bytes {
    // What is sent consists of texts, numbers and maps with text keys, which always become JSON.
    let data = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// One event without a name, as OpenAI's streams have them.
pub(super) fn data(data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(format!("data: {data}\n\n"))
}
