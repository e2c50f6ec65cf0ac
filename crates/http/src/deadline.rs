//! The bytes of a connection, with a deadline for a peer that takes none of an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use crate::places::Place;

/// A stream that fails when its peer takes nothing for too long. Whatever it takes, the time begins again.
pub(crate) struct Deadline {
    stream: TcpStream,
    place: Arc<Place>,
    patience: Duration,
    /// Given back when its first bytes are looked for.
    unread: Option<OwnedSemaphorePermit>,
    gives_up: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(crate) fn new(
        stream: TcpStream,
        place: Arc<Place>,
        patience: Duration,
        unread: OwnedSemaphorePermit,
    ) -> Self {
        Self { stream, place, patience, unread: Some(unread), gives_up: None }
    }

    fn watched<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.gives_up.take().is_some() {
                self.place.awaits_reader(false);
            }
            return written;
        }
        let patience = self.patience;
        self.place.awaits_reader(true);
        ready!(self.gives_up.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer took nothing of the answer")))
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
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
