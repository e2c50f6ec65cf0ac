//! One request and its answer on a connection: records in the connection's place whether the server or the peer acts next.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::response::Response;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::peer::Peer;
use crate::places::{OpenTo, Place};
use crate::strangers::Strangers;

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
    let mut request = Request::from_parts(parts, Body::new(Awaited { body, place: Arc::clone(&place) }));
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
struct Awaited {
    body: Incoming,
    place: Arc<Place>,
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
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.place.awaits_bytes(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
