//! A body that is sent in parts and may break off.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

/// Long enough for the data sent so far to be delivered, so that the break follows it instead of replacing it.
const BEFORE_BREAK: Duration = Duration::from_millis(50);
/// How many bytes a torn answer sends at once: fewer than an event has, and out of step with most characters.
const SHRED: usize = 3;

/// A part of a body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Bytes(Bytes),
    /// The connection breaks.
    Break,
}

/// The parts in order; possibly endless.
pub(crate) type Parts = Box<dyn Iterator<Item = Part> + Send>;

/// An answer made of these parts, with a pause before each. `sending` receives the place of the part that is sent next.
pub(crate) fn answer(
    content_type: &'static str,
    parts: Parts,
    pause: Duration,
    sending: impl Fn(usize) + Send + 'static,
) -> Response {
    let stream = stream::unfold((parts.enumerate(), sending), move |(mut parts, sending)| async move {
        let (place, part) = parts.next()?;
        let sent = match part {
            Part::Bytes(bytes) => {
                // Even a zero pause would yield the thread.
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                sending(place);
                Ok(bytes)
            }
            Part::Break => {
                tokio::time::sleep(BEFORE_BREAK).await;
                Err(io::Error::other("cut, as asked for"))
            }
        };
        Some((sent, (parts, sending)))
    });
    ([(CONTENT_TYPE, content_type)], Body::from_stream(stream)).into_response()
}

/// The same parts in small pieces.
pub(crate) fn torn(parts: Parts) -> Parts {
    Box::new(parts.flat_map(|part| match part {
        Part::Break => vec![Part::Break],
        Part::Bytes(bytes) => {
            bytes.chunks(SHRED).map(|piece| Part::Bytes(Bytes::copy_from_slice(piece))).collect()
        }
    }))
}
