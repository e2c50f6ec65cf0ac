//! The events of a turn as an answer.

use std::future::ready;

use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::{once, poll_fn};
use hyper::body::Bytes;
use memcloud_http::event_stream;
use memcloud_memory::ChatEvent;
use tokio::sync::mpsc::Receiver;

/// An answer that begins with these bytes and continues with the events of a turn, each as `written` encodes it. Events
/// that are encoded as nothing are left out.
pub(crate) fn response(
    first: Bytes,
    mut events: Receiver<ChatEvent>,
    written: impl FnMut(ChatEvent) -> Bytes + Send + 'static,
) -> Response {
    let rest = poll_fn(move |context| events.poll_recv(context)).map(written);
    event_stream(once(ready(first)).chain(rest).filter(|bytes| ready(!bytes.is_empty())))
}
