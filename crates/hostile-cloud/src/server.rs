//! The HTTP server.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming as Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::answer::Refusal;
use crate::http::{authorization, response};
use crate::request::{self, Incoming};
use crate::shared::Shared;

/// The longest body of a request, in bytes.
const BODY_BYTES: usize = 8 << 20;

/// The connection is closed instead of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed")]
struct Closed;

/// Serves until it is cut off.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // A client that leaves before it is accepted does not concern the next one.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(request, &shared));
            // The client notices what fails on its connection.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(request: Request<Body>, shared: &Shared) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES).collect().await else {
        return Ok(response(&Refusal::invalid("The body is too long.").answer(None)));
    };
    let path = head.uri.path().trim_start_matches('/');
    let (host, path) = path.split_once('/').unwrap_or((path, ""));
    let incoming = Incoming {
        method: head.method.to_string(),
        host: host.to_owned(),
        path: path.to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: authorization(&head.headers),
        metadata_flavor: head.headers.contains_key("metadata-flavor"),
        body: body.to_bytes().to_vec(),
    };
    request::answer(&incoming, &mut shared.state()).map(|answer| response(&answer)).ok_or(Closed)
}
