//! The outermost layer of a server: an id, a span, an access line and metrics for every request.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::Next;
use axum::response::Response;
use memcloud_domain::KeyId;
use tracing::Instrument;

use crate::access_line::AccessLine;
use crate::exchange::Connection;
use crate::metrics::{Metrics, name};
use crate::request_id::{self, RequestId};

/// What the handler of a request notes for its access line.
struct Notes {
    connection: Option<Connection>,
    caller: OnceLock<KeyId>,
    stored: AtomicU64,
    found: AtomicU64,
}

tokio::task_local! {
    static NOTES: Arc<Notes>;
}

/// Notes who sent the request that this task answers.
pub fn note_caller(caller: &KeyId) {
    // The first caller of a request is its only one. Outside of a request there is nothing to note.
    let _ = NOTES.try_with(|notes| {
        if let Some(connection) = &notes.connection {
            connection.place.note_known();
        }
        notes.caller.set(caller.clone())
    });
}

/// Adds to the number of messages that this task's request stored.
pub fn note_stored(count: usize) {
    let _ = NOTES.try_with(|notes| notes.stored.fetch_add(count as u64, Ordering::Relaxed));
}

/// Adds to the number of hits that this task's request found.
pub fn note_found(count: usize) {
    let _ = NOTES.try_with(|notes| notes.found.fetch_add(count as u64, Ordering::Relaxed));
}

/// Gives every request an id, which its answer carries together with headers that keep browsers and proxies from guessing and from
/// storing, and a span; counts it, and has its access line written when the head of the answer has been sent.
///
/// Everything is known when the head of the answer is: a stream may go on after that.
pub async fn observe(State(metrics): State<Arc<Metrics>>, mut request: Request, next: Next) -> Response {
    let since = Instant::now();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(id.clone());
    let connection = request.extensions().get().cloned();
    let notes = Arc::new(Notes { connection, caller: OnceLock::new(), stored: 0.into(), found: 0.into() });
    let span = tracing::info_span!("request", request_id = %id);
    let answering = NOTES.scope(Arc::clone(&notes), next.run(request));
    let mut response = answering.instrument(span.clone()).await;
    let headers = response.headers_mut();
    headers.insert(request_id::HEADER, id.header());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Almost every answer holds memories, and none holds for long.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let (status, took) = (response.status(), since.elapsed());
    metrics.answered(&method, &route, status, took);
    let line = AccessLine {
        span,
        method: name(&method),
        route,
        status,
        took,
        caller: notes.caller.get().cloned(),
        stored: counted(&notes.stored),
        found: counted(&notes.found),
    };
    match &notes.connection {
        // Refusals are counted, and their number is logged.
        Some(connection) if connection.is_crowded && line.caller.is_none() => {}
        Some(connection) => connection.place.log_when_sent(line),
        None => line.write(),
    }
    response
}

/// A count for the log, unless nothing was counted.
fn counted(count: &AtomicU64) -> Option<u64> {
    Some(count.load(Ordering::Relaxed)).filter(|count| *count > 0)
}
