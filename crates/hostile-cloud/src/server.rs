//! The HTTP server.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming as Body;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::answer::{Answer, Refusal};
use crate::cloud::Shared;
use crate::request::{self, Incoming};

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

/// The credentials of a request; empty without any.
pub(crate) fn authorization(headers: &HeaderMap) -> String {
    headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn response(answer: &Answer) -> Response<Full<Bytes>> {
    // The metadata server answers plain text, everything else JSON.
    let (kind, body) = match &answer.body {
        serde_json::Value::String(text) => ("text/plain", text.clone()),
        json => ("application/json; charset=UTF-8", json.to_string()),
    };
    let mut response = Response::builder().status(answer.status).header(CONTENT_TYPE, kind);
    response = response.header("metadata-flavor", "Google");
    if let Some(seconds) = answer.retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    response.body(Full::new(Bytes::from(body))).unwrap_or_else(|error| panic!("a broken answer: {error}"))
}

/// A plain answer of this cloud itself, in place of a service.
pub(crate) fn plain(status: u16, text: &str) -> Response<Full<Bytes>> {
    response(&Answer { status, body: text.into(), retry_after: None })
}

/// A body that cannot fail, as one that can.
pub(crate) fn boxed(
    response: Response<Full<Bytes>>,
) -> Response<http_body_util::combinators::BoxBody<Bytes, hyper::Error>> {
    response.map(|body| body.map_err(|never: Infallible| match never {}).boxed())
}
