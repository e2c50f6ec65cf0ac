//! The bytes of a connection, with a deadline for a peer that reads its answer too slowly.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use crate::places::Place;

/// The least rate at which a peer must read an answer, in bytes a second. Even the largest answer then ends within minutes.
const LEAST_RATE: f64 = (16 << 10) as f64;

/// A stream that fails when its peer keeps it waiting too long. What the peer reads extends the deadline.
pub(crate) struct Deadline {
    stream: TcpStream,
    place: Arc<Place>,
    patience: Duration,
    /// How long its peer may still be waited for.
    left: Duration,
    waiting: Option<Waiting>,
    /// Given back when its first bytes are looked for.
    unread: Option<OwnedSemaphorePermit>,
}

struct Waiting {
    since: Instant,
    gives_up: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(crate) fn new(
        stream: TcpStream,
        place: Arc<Place>,
        patience: Duration,
        unread: OwnedSemaphorePermit,
    ) -> Self {
        Self { stream, place, patience, left: patience, waiting: None, unread: Some(unread) }
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn watched(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = written else {
            self.place.awaits_reader(true);
            let left = self.left;
            let begin = || Waiting { since: Instant::now(), gives_up: Box::pin(sleep(left)) };
            ready!(self.waiting.get_or_insert_with(begin).gives_up.as_mut().poll(context));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer took too little")));
        };
        if let Some(waiting) = self.waiting.take() {
            self.place.awaits_reader(false);
            let earned = Duration::from_secs_f64(*written.as_ref().unwrap_or(&0) as f64 / LEAST_RATE);
            self.left = self.patience.min(self.left.saturating_sub(waiting.since.elapsed()) + earned);
        }
        Poll::Ready(written)
    }
}

impl AsyncRead for Deadline {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_pending() {
            self.place.found_nothing();
        }
        self.unread = None;
        read
    }
}

impl AsyncWrite for Deadline {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.watched(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The system has all that was written.
        self.place.log();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.place.ends_late() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
