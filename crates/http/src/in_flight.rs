//! Counts the memory that a request and its answer take, from the first byte that arrives to the last that is written.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame, SizeHint};
use memcloud_domain::{InFlight, Reservation};
use serde::Serialize;

use crate::ApiError;

/// An answer is handed to the connection in pieces of this many bytes, so that what is still to be written is still counted.
const PIECE: usize = 64 << 10;

/// An answer up to this size is not counted: a busy server can still report that it is busy, and its health.
const SMALL: usize = 4 << 10;

/// What requests and their answers are counted in.
#[derive(Clone)]
pub struct Counting {
    /// The account.
    pub account: Arc<InFlight>,
    /// The answer to a request that does not fit.
    pub busy: fn() -> Response,
}

/// Leaves a [`Reservation`] on every request, for those who read its body. An answer whose size is known is counted too, and
/// all is given back when the answer is written. An answer that does not fit is replaced.
pub async fn count<A>(
    counting: &Counting,
    mut request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Response
where
    A: Future<Output = Response>,
{
    let reservation = Arc::new(counting.account.reservation());
    request.extensions_mut().insert(Arc::clone(&reservation));
    let response = answer(request).await;
    let own = response.extensions().get::<Arc<Reservation>>().map(Arc::clone);
    let size = response.body().size_hint().exact().unwrap_or_default() as usize;
    if own.is_none() && size > SMALL && reservation.take(size).is_err() {
        return (counting.busy)();
    }
    response.map(|body| Body::new(Counted { body, piece: Bytes::new(), _reservations: (reservation, own) }))
}

/// An answer of JSON that is counted before it is made, and made in room of just its size. Takes twice the time of an answer
/// that is counted afterwards, so it is for large ones.
pub fn counted_json(account: &Arc<InFlight>, value: &impl Serialize) -> Result<Response, ApiError> {
    let mut size = Size(0);
    serde_json::to_writer(&mut size, value).map_err(|_| ApiError::defect())?;
    let own = account.reservation();
    own.take(size.0)?;
    let mut json = Vec::with_capacity(size.0);
    serde_json::to_writer(&mut json, value).map_err(|_| ApiError::defect())?;
    let mut response = ([(header::CONTENT_TYPE, "application/json")], json).into_response();
    response.extensions_mut().insert(Arc::new(own));
    Ok(response)
}

/// How many bytes were written to it. It keeps none.
struct Size(usize);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A body that is counted until its last byte is taken.
struct Counted {
    body: Body,
    /// What is left of a large frame.
    piece: Bytes,
    /// Of the request, and of an answer that was counted before it was made.
    _reservations: (Arc<Reservation>, Option<Arc<Reservation>>),
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.piece.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) => self.piece = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let end = self.piece.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.piece.split_to(end)))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (left, inner) = (self.piece.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + left);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + left);
        }
        hint
    }
}
