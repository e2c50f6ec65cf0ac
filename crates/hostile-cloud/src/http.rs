//! Requests and answers as HTTP has them.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{HeaderMap, Response};

use crate::answer::Answer;

/// The credentials of a request; empty without any.
pub(crate) fn authorization(headers: &HeaderMap) -> String {
    headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// An answer, with `Retry-After` where it has one.
pub(crate) fn response(answer: &Answer) -> Response<Full<Bytes>> {
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
pub(crate) fn boxed(response: Response<Full<Bytes>>) -> Response<BoxBody<Bytes, hyper::Error>> {
    response.map(|body| body.map_err(|never: Infallible| match never {}).boxed())
}
