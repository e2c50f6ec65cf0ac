//! A network between a client and a server that fails on demand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc as answers;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::background::Background;
use crate::{done, ports};

/// The most bytes forwarded at once.
const CHUNK: usize = 16 * 1024;

/// What happens to the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Traffic passes.
    Pass,
    /// Connections open and stay, and nothing arrives until the mode changes.
    Hang,
    /// Every connection is closed, new ones as soon as they are open.
    Cut,
    /// Every connection is closed, and new ones are refused.
    Refuse,
    /// Every piece of up to 16 KiB arrives later by this time.
    Slow(Duration),
}

/// A TCP proxy on 127.0.0.1, which ends with this handle. It starts with [`Mode::Pass`].
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    changes: mpsc::UnboundedSender<(Change, answers::Sender<()>)>,
    open: watch::Sender<usize>,
    // Ends after the sender above is dropped.
    _work: Background,
}

/// A command from the test to the proxy.
#[derive(Clone, Copy, Debug)]
enum Change {
    Mode(Mode),
    CutNow,
}

/// What every connection watches.
#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// How often all connections were cut. A connection that started at another number must end.
    cuts: u64,
}

impl Proxy {
    /// Forwards to a server, such as `127.0.0.1:5432`.
    pub fn start(server: impl Into<String>) -> Self {
        done(Self::try_start(server.into()))
    }

    fn try_start(server: String) -> Result<Self> {
        let listener = ports::listen()?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let (changes, wanted) = mpsc::unbounded_channel();
        let open = watch::Sender::new(0);
        let doors = Doors {
            server,
            port,
            open: open.clone(),
            state: watch::Sender::new(State { mode: Mode::Pass, cuts: 0 }),
        };
        let work = Background::start(move || async move {
            match TcpListener::from_std(listener) {
                Ok(listener) => doors.keep(listener, wanted).await,
                Err(error) => panic!("cannot listen: {error}"),
            }
        })?;
        Ok(Self { port, changes, open, _work: work })
    }

    /// The address for clients.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of open client connections.
    pub fn connections(&self) -> usize {
        *self.open.borrow()
    }

    /// Changes the mode. When this returns, the mode applies to new connections, and the connections that it ends are
    /// closed.
    pub fn set(&self, mode: Mode) {
        self.change(Change::Mode(mode));
    }

    /// Closes all current connections and keeps the mode.
    pub fn cut_now(&self) {
        self.change(Change::CutNow);
    }

    fn change(&self, change: Change) {
        let (answer, answered) = answers::channel();
        let sent = self.changes.send((change, answer));
        assert!(sent.is_ok() && answered.recv().is_ok(), "the proxy has failed: see the panic above");
    }
}

/// The state of the proxy's thread.
struct Doors {
    server: String,
    port: u16,
    open: watch::Sender<usize>,
    state: watch::Sender<State>,
}

impl Doors {
    async fn keep(
        self,
        listener: TcpListener,
        mut wanted: mpsc::UnboundedReceiver<(Change, answers::Sender<()>)>,
    ) {
        let mut listener = Some(listener);
        loop {
            tokio::select! {
                change = wanted.recv() => {
                    let Some((change, answer)) = change else { return };
                    self.apply(change, &mut listener).await;
                    // The caller waits for the answer.
                    let _ = answer.send(());
                }
                accepted = accept(listener.as_ref()) => self.welcome(accepted),
            }
        }
    }

    async fn apply(&self, change: Change, listener: &mut Option<TcpListener>) {
        let mode = match change {
            Change::Mode(mode) => mode,
            Change::CutNow => self.state.borrow().mode,
        };
        if mode == Mode::Refuse {
            *listener = None;
        } else if listener.is_none() {
            let again = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await;
            *listener = Some(
                again.unwrap_or_else(|error| panic!("cannot listen again on port {}: {error}", self.port)),
            );
        }
        let cut = matches!(change, Change::CutNow) || matches!(mode, Mode::Cut | Mode::Refuse);
        self.state.send_modify(|state| {
            state.mode = mode;
            state.cuts += u64::from(cut);
        });
        if cut {
            // The sender is in this struct, so waiting cannot fail.
            let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
        }
    }

    /// Serves a new client.
    fn welcome(&self, client: TcpStream) {
        let mut state = self.state.subscribe();
        let born = *state.borrow();
        if born.mode == Mode::Cut {
            return;
        }
        self.open.send_modify(|open| *open += 1);
        let (open, server) = (Open(self.open.clone()), self.server.clone());
        let pumping = self.state.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = state.wait_for(|now| now.cuts != born.cuts) => {}
                _ = carry(client, &server, pumping) => {}
            }
            drop(open);
        });
    }
}

/// Counts one connection for as long as it lives.
struct Open(watch::Sender<usize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// The next client; pending while the proxy does not listen.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        // A client that leaves before it is accepted causes an error that does not concern the next one.
        if let Ok((client, _)) = listener.accept().await {
            return client;
        }
    }
}

/// Forwards everything between a client and the server until one of them closes.
async fn carry(client: TcpStream, server: &str, state: watch::Receiver<State>) -> Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(pump(from_client, to_server, state.clone()), pump(from_server, to_client, state))?;
    Ok(())
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
) -> Result<()> {
    let mut held = Vec::new();
    let mut open = true;
    while open {
        held.reserve(CHUNK);
        tokio::select! {
            changed = state.changed() => changed?,
            read = from.read_buf(&mut held) => open = read? > 0,
        }
        let mode = state.borrow_and_update().mode;
        match mode {
            Mode::Hang => {
                // Data of a client that left while the proxy was holding traffic is lost.
                anyhow::ensure!(open, "closed while hanging");
                continue;
            }
            Mode::Slow(pause) if !held.is_empty() => tokio::time::sleep(pause).await,
            _ => {}
        }
        to.write_all(&held).await?;
        held.clear();
    }
    to.shutdown().await?;
    Ok(())
}
