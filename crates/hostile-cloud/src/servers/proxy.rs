//! What stands in front of a service: it knows who may call, and which revision has the traffic.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::container::Container;
use crate::http::{authorization, boxed, plain};

/// A service, or a tag of it.
pub(crate) struct Place {
    /// The full name.
    pub(crate) service: String,
    pub(crate) tag: Option<String>,
}

/// Answers with the container for a request with these credentials, or with the status and text of a refusal.
pub(crate) type Guide = dyn Fn(&Place, &str) -> Result<Arc<Container>, (u16, &'static str)> + Send + Sync;

/// What all doors need.
#[derive(Clone)]
pub(crate) struct Entrance {
    pub(crate) runtime: Handle,
    pub(crate) guide: Arc<Guide>,
}

/// The address of a service, or of one tag of it. It closes when it is dropped.
pub(crate) struct Door {
    address: SocketAddr,
    serving: AbortHandle,
}

impl Door {
    /// Opens a door to a service, or to the revision with a tag.
    pub(crate) fn open(entrance: &Entrance, place: Place) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let serve = serve(listener, Arc::clone(&entrance.guide), Arc::new(place));
        let serving = entrance.runtime.spawn(serve).abort_handle();
        Ok(Self { address, serving })
    }

    pub(crate) fn uri(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, guide: Arc<Guide>, place: Arc<Place>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        // A client that leaves before it is accepted does not concern the next one.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (guide, place) = (Arc::clone(&guide), Arc::clone(&place));
        tokio::spawn(async move {
            let answer =
                service_fn(|request| async { Ok::<_, hyper::Error>(answer(request, &*guide, &place).await) });
            // The client notices what fails on its connection.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    guide: &Guide,
    place: &Place,
) -> Response<BoxBody<Bytes, hyper::Error>> {
    let credentials = authorization(request.headers());
    let destination = guide(place, &credentials);
    let container = match destination {
        Ok(container) => container,
        Err((status, text)) => return boxed(plain(status, text)),
    };
    // It may have to start first.
    let address = tokio::task::spawn_blocking(move || container.address()).await;
    let forwarded = match address {
        Ok(Ok(address)) => forward(request, address).await,
        Ok(Err(error)) => Err(error),
        Err(error) => Err(error.into()),
    };
    forwarded.unwrap_or_else(|_| {
        let text = "The request failed because either the HTTP response was malformed or connection to the instance had \
                    an error.";
        boxed(plain(503, text))
    })
}

/// Passes a request to a container, and its answer back as it comes.
async fn forward(
    request: Request<Incoming>,
    to: SocketAddr,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?.map(BodyExt::boxed))
}
