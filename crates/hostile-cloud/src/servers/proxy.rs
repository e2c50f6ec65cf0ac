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
use tokio::task::AbortHandle;

use crate::apis::run;
use crate::cloud::Shared;
use crate::server::{authorization, boxed, plain};

/// The address of a service, or of one tag of it. It closes when it is dropped.
pub(crate) struct Door {
    address: SocketAddr,
    serving: AbortHandle,
}

impl Door {
    /// Opens a door to a service, or to the revision with a tag.
    pub(crate) fn open(shared: &Arc<Shared>, service: &str, tag: Option<&str>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let place = Arc::new((service.to_owned(), tag.map(str::to_owned)));
        let serving = shared.runtime.spawn(serve(listener, Arc::clone(shared), place)).abort_handle();
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

/// The service and the tag.
type Place = (String, Option<String>);

async fn serve(listener: TcpListener, shared: Arc<Shared>, place: Arc<Place>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        // A client that leaves before it is accepted does not concern the next one.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (shared, place) = (Arc::clone(&shared), Arc::clone(&place));
        tokio::spawn(async move {
            let answer =
                service_fn(|request| async { Ok::<_, hyper::Error>(answer(request, &shared, &place).await) });
            // The client notices what fails on its connection.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
    place: &Place,
) -> Response<BoxBody<Bytes, hyper::Error>> {
    let credentials = authorization(request.headers());
    let destination = run::destination(&shared.state(), &place.0, place.1.as_deref(), &credentials);
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
