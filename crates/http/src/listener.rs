//! Puts a router on a listener: the accept loop, its limits, and its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use memcloud_tasks::Tasks;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::deadline::Deadline;
use crate::delayed_close::DelayedClose;
use crate::exchange::{self, Shared};
use crate::peer::Peer;
use crate::places::{Hold, KEPT, Places};
use crate::strangers::Strangers;

/// The pause after a failed `accept`: long enough for connections to end when the process is out of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// The longest head of a request, and what a connection buffers, in bytes.
const BUFFER_BYTES: usize = 32 << 10;
/// How much of an answer waits in the system for a connection that is slow.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 << 10;
/// The descriptors that are left for databases, files and outgoing connections.
const OTHER_DESCRIPTORS: u64 = 256;
/// How many connections are accepted before the first of them is read. They keep their places until then, so that a burst
/// of strangers cannot push out a caller whose request has arrived, and they delay no one for longer than reading them takes.
const UNREAD: usize = 32;
/// The answer to a connection when no place is left, not even those that are kept.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 150\r\n\
    retry-after: 1\r\nconnection: close\r\n\r\n\
    {\"detail\":\"too many requests are being answered\",\"code\":\"too_many_connections\",\"hint\":\"send the request again in a second, or over fewer connections\"}";

/// What connections may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// How long the head of a request may take to arrive, and how long an idle connection is kept. Default 10 s.
    pub header_timeout: Duration,
    /// How long an answer may wait for a client that has stopped reading, or reads less than 16 KiB a second. Default 10 s.
    pub write_timeout: Duration,
    /// How long requests in progress may still take when the server stops. Default 5 s.
    pub drain: Duration,
    /// The most connections at a time. When there are more, connections that wait for their client are closed. Default 1,024.
    pub connections: usize,
    /// The most connections of one address (of 64 bits of an IPv6 address). Default: three quarters of all.
    pub connections_per_address: Option<usize>,
    /// The most connections of strangers, in addition to those, that are over and whose peers hear of it a second later.
    /// Beyond that number they are closed at once. Default 2,048.
    pub delayed_closes: usize,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            connections: 1_024,
            connections_per_address: None,
            delayed_closes: 2_048,
        }
    }
}

impl ServeOptions {
    /// The same with no more connections than this many open files allow.
    #[must_use]
    pub fn within(self, descriptors: Option<u64>) -> Self {
        let Some(descriptors) = descriptors else { return self };
        let others = (OTHER_DESCRIPTORS + KEPT as u64).min(descriptors / 2);
        let fit = usize::try_from(descriptors - others).unwrap_or(usize::MAX);
        if fit < self.connections {
            tracing::warn!(
                descriptors,
                connections = fit,
                "the limit of open files (ulimit -n) allows fewer connections"
            );
        }
        let connections = self.connections.min(fit);
        Self { connections, delayed_closes: self.delayed_closes.min(fit - connections), ..self }
    }
}

/// Serves until `shutdown` completes. Then it accepts no more connections, closes idle ones, lets requests in progress end,
/// and returns after [`ServeOptions::drain`] at the latest.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let socket = SockRef::from(&listener);
    // The system has a limit of its own (on Linux net.core.somaxconn), which this follows.
    socket.listen(i32::MAX)?;
    // The connections inherit both. Without the second the system would take megabytes for a peer that reads nothing.
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    let share = options.connections_per_address.unwrap_or(options.connections - options.connections / 4);
    let places = Places::new(options.connections, share);
    let unread = Arc::new(Semaphore::new(UNREAD));
    let (line, strangers, left) = (Semaphore::new(1), Strangers::new(), Tasks::new());
    let shared = Arc::new(Shared { router, line, strangers, left });
    let delayed = Arc::new(DelayedClose::new(options.delayed_closes));
    let connections = Tasks::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let Accepted { hold, stream, address, unread } = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places, &unread, &delayed) => accepted,
        };
        let (place, shared) = (Arc::clone(&hold.place), Arc::clone(&shared));
        let stream = Deadline::new(stream, Arc::clone(&place), options.write_timeout, unread);
        let service = service_fn(move |request| {
            exchange::answer(request, Peer(address), Arc::clone(&place), Arc::clone(&shared))
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(options.header_timeout)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let delayed = Arc::clone(&delayed);
        connections.spawn("connection", |stop| async move {
            until_its_end(&mut connection, hold.place.must_close(), stop.cancelled()).await;
            if hold.place.ends_late() {
                delayed.close(connection.into_parts().io.into_inner().into_stream());
            }
        });
    }
    drop(listener);
    let cut_off = connections.drain(options.drain).await;
    if cut_off > 0 {
        tracing::warn!(connections = cut_off, "cut off requests at shutdown");
    }
    Ok(())
}

/// Serves a connection until it ends or must close. Once the server stops, it takes no further request.
async fn until_its_end(
    connection: &mut (impl GracefulConnection<Error: std::fmt::Display> + Unpin),
    must_close: impl Future<Output = ()>,
    stop: impl Future<Output = ()>,
) {
    let ended = tokio::select! {
        ended = &mut *connection => ended,
        () = must_close => return tracing::debug!("closed a waiting connection to make room for a new one"),
        () = stop => {
            Pin::new(&mut *connection).graceful_shutdown();
            connection.await
        }
    };
    // Clients may break off their connections.
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

/// A new connection, with its place.
struct Accepted {
    hold: Hold,
    stream: TcpStream,
    address: SocketAddr,
    /// One of [`UNREAD`].
    unread: OwnedSemaphorePermit,
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Places>,
    unread: &Arc<Semaphore>,
    delayed: &DelayedClose,
) -> Accepted {
    let mut failed = false;
    loop {
        // The semaphore is never closed.
        let Ok(unread) = Arc::clone(unread).acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, address)) => {
                if let Some(hold) = places.take(address.ip()) {
                    return Accepted { hold, stream, address, unread };
                }
                // A new connection takes so few bytes at once. If not, it has its answer: it is closed.
                drop(stream.try_write(FULL));
                delayed.close(stream);
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                // Logged once: the next attempts fail alike.
                if !failed {
                    tracing::error!(%error, "cannot accept connections");
                }
                failed = true;
                // Perhaps the process is out of descriptors, and this frees one.
                places.free_one();
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Whether the client gave up before its connection was accepted.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
