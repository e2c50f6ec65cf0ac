//! One request and its answer on a connection: records in the connection's place whether the server or the peer acts next,
//! and reads on where a handler left a body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};
use memcloud_tasks::Tasks;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::peer::Peer;
use crate::places::{OpenTo, Place};
use crate::strangers::Strangers;

/// How much of a body is read on that its handler left, and for how long: four times the usual limit of a body.
const LEFT_BYTES: usize = 32 << 20;
const LEFT_TIME: Duration = Duration::from_secs(5);

/// The connection that a request arrived on. The listener leaves it on every request.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) place: Arc<Place>,
    /// Whether strangers send so many requests that an answer to one ends the connection, and is not worth a line in the log.
    pub(crate) is_crowded: bool,
}

/// What the connections of a listener share.
pub(crate) struct Shared {
    pub(crate) router: Router,
    /// Where requests take turns that their peers sent before they had the last answers.
    pub(crate) line: Semaphore,
    pub(crate) strangers: Strangers,
    /// Read what handlers left of bodies.
    pub(crate) left: Tasks,
}

/// Answers a request. One that its peer sent before it had the last answer takes its turn, so that a peer which sends
/// thousands at once delays itself and no one else.
pub(crate) async fn answer(
    request: Request<Incoming>,
    peer: Peer,
    place: Arc<Place>,
    shared: Arc<Shared>,
) -> Result<Response, std::convert::Infallible> {
    let is_early = place.begins_early();
    let is_crowded = !place.is_known() && shared.strangers.are_too_many();
    let (parts, body) = request.into_parts();
    let closes_itself = parts.version < Version::HTTP_11
        || parts
            .headers
            .get(header::CONNECTION)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    // A client that waits for `100 Continue` sends nothing unless it is read, and many strangers are not read on.
    let reads_on = !is_crowded && !parts.headers.contains_key(header::EXPECT);
    let left = reads_on.then(|| Arc::clone(&shared));
    let body = Awaited { body: Some(body), place: Arc::clone(&place), left };
    let mut request = Request::from_parts(parts, Body::new(body));
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(Connection { place: Arc::clone(&place), is_crowded });
    let turn = if is_early {
        place.awaits_bytes(true);
        // The semaphore is never closed.
        let turn = shared.line.acquire().await.ok();
        // All that is ready goes first, new connections included.
        tokio::task::yield_now().await;
        place.awaits_bytes(false);
        turn
    } else {
        None
    };
    let response = shared.router.clone().oneshot(request).await;
    drop(turn);
    response.map(|mut response| {
        let is_cut_off = is_crowded && !place.is_known();
        // A place that is kept for others is freed after one request.
        if place.open_to != OpenTo::Everyone || is_cut_off {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        // A probe may read its answer until the connection ends.
        if is_cut_off && !(closes_itself && response.status().is_success()) {
            place.end_late();
        }
        response.map(|body| Body::new(Answer { body, place }))
    })
}

/// Whether the connection of this request has room for it. While all others are being answered, the last connections are
/// kept for callers with a key, and then for probes, which ask no one.
pub fn has_room(request: &Request, has_key: bool) -> bool {
    request.extensions().get().is_none_or(|connection: &Connection| match connection.place.open_to {
        OpenTo::Everyone => true,
        OpenTo::Keys => has_key,
        OpenTo::Probes => false,
    })
}

/// The body of a request. While it waits for more, so does its place.
///
/// What its handler leaves is read on and discarded while the answer is sent, so that a client which is still sending gets the
/// answer and not a reset connection. Meanwhile its place waits, and is given to others like any that waits.
struct Awaited {
    /// There until it is dropped.
    body: Option<Incoming>,
    place: Arc<Place>,
    /// Where it is read on, if it is.
    left: Option<Arc<Shared>>,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let (Some(body), Some(shared)) = (self.body.take(), self.left.take()) else { return };
        if !body.is_end_stream() {
            let left = Self { body: Some(body), place: Arc::clone(&self.place), left: None };
            shared.left.spawn("left body", |_| async {
                // Whatever is still sent after that is not worth a connection.
                drop(tokio::time::timeout(LEFT_TIME, discard(left)).await);
            });
        }
    }
}

async fn discard(mut body: Awaited) {
    let mut left = LEFT_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// The body of an answer. When it ends, the peer acts next.
struct Answer {
    body: Body,
    place: Arc<Place>,
}

impl hyper::body::Body for Awaited {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        self.place.awaits_bytes(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.place.ends_request();
    }
}
