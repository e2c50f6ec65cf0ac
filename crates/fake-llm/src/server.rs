//! The running server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

use crate::calls::{Calls, Log};
use crate::fault::Fault;
use crate::faults::Faults;
use crate::refusal::ErrorAnswer;
use crate::state::State;
use crate::{chat, control, embeddings, models};

/// The longest accepted body, in bytes.
const BODY_BYTES: usize = 64 << 20;
/// How long to wait after a failed `accept`.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How to run it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on, on this machine only. Port 0 takes a free port. Default 127.0.0.1:0.
    pub listen: SocketAddr,
    /// The key that calls must carry. Default: none.
    pub key: Option<String>,
    /// The delay before each answer. Default 0.
    pub latency: Duration,
    /// The most random delay on top. Default 0.
    pub jitter: Duration,
    /// The faults from the start, until they are changed. Default: none.
    pub faults: Vec<Fault>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            key: None,
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            faults: vec![],
        }
    }
}

/// Why it does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Other machines could reach this address, and it is not made for that.
    #[error("{0} is not a loopback address: the stand-in for a language model listens on 127.0.0.1 only")]
    Exposed(SocketAddr),
    /// It cannot listen on the address.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// It was started outside a runtime.
    #[error("it needs a tokio runtime to run on")]
    NoRuntime,
}

/// A running stand-in for a language model. It stops when it is dropped, and so do
/// its unfinished answers.
#[derive(Debug)]
pub struct FakeLlm {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

impl FakeLlm {
    /// Starts it on the current tokio runtime. It accepts calls at once.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let listen = options.listen;
        if !listen.ip().is_loopback() {
            return Err(StartError::Exposed(listen));
        }
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let (listener, address) = bound(listen).map_err(|error| StartError::Listen(listen, error))?;
        let faults = Some(options.faults).filter(|faults| !faults.is_empty()).map(Faults::from);
        let state = Arc::new(State {
            key: options.key,
            latency: options.latency,
            jitter: options.jitter,
            faults: Mutex::new(faults),
            log: Mutex::new(Log::default()),
        });
        let accepting = runtime.spawn(accept(listener, router(Arc::clone(&state)))).abort_handle();
        Ok(Self { address, state, accepting })
    }

    /// Its base address for `OPENAI_BASE_URL`, which ends in `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The calls it received.
    pub fn calls(&self) -> Calls {
        self.state.log().calls().clone()
    }

    /// Clears the received calls. Answers stay known by their `Idempotency-Key`.
    pub fn clear_calls(&self) {
        self.state.log().clear();
    }

    /// Replaces the active faults.
    pub fn set_faults(&self, faults: impl Into<Faults>) {
        *self.state.faults() = Some(faults.into());
    }

    /// Clears the active faults.
    pub fn clear_faults(&self) {
        *self.state.faults() = None;
    }
}

impl Drop for FakeLlm {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn bound(address: SocketAddr) -> io::Result<(tokio::net::TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((tokio::net::TcpListener::from_std(listener)?, address))
}

fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::completions))
        .route("/openai/deployments/{name}/chat/completions", post(chat::completions))
        .route("/v1/embeddings", post(embeddings::embeddings))
        .route("/openai/deployments/{name}/embeddings", post(embeddings::embeddings))
        .route("/v1/models", get(models::models))
        .route("/dev/calls", get(control::calls).delete(control::clear_calls))
        .route("/dev/faults", get(control::faults).put(control::set_faults).delete(control::clear_faults))
        .fallback(async |method: Method, uri: Uri| ErrorAnswer::route(method.as_str(), uri.path()))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(state)
}

/// Connections are tasks of this one and end with it, so that dropping the server cuts them as killing a process does.
async fn accept(listener: tokio::net::TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            // The client sees how its connection ended.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                }
            },
        };
        // Without it each event of a stream waits for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
