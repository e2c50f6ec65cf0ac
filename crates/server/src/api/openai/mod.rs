//! `OpenAI`'s API, so that any client of it gains a memory by changing its base URL.

pub(crate) mod completions;
pub(crate) mod models;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use memcloud_ports::EndpointRefusal;

/// An error of the endpoint, unchanged.
fn forwarded(refusal: EndpointRefusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = Response::new(Body::from(refusal.body));
    *response.status_mut() = status;
    if let Some(kind) = refusal.content_type.and_then(|kind| HeaderValue::from_str(&kind).ok()) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    if let Some(after) = refusal.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs_f64().ceil() as u64));
    }
    response
}
