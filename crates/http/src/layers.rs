//! The layers that every server has around its routes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Version};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use crate::error::{ApiError, Dialect, Hints, of_panic, write_errors};
use crate::{Metrics, observe};

/// The router of a server: with ids, access lines and metrics for all requests, the errors of all routes in their dialect
/// with these hints, panics as errors, and without requests whose head can be read in two ways.
pub fn served(
    routes: impl IntoIterator<Item = (Dialect, Router)>,
    metrics: Arc<Metrics>,
    hints: Hints,
) -> Router {
    // One layer: each copies all that are in it, for every request.
    let in_dialect =
        |(dialect, routes): (Dialect, Router)| routes.layer(from_fn_with_state((dialect, hints), answer));
    let all = routes.into_iter().map(in_dialect).fold(Router::new(), Router::merge);
    all.layer(from_fn_with_state(metrics, observe))
}

async fn answer(State((dialect, hints)): State<(Dialect, Hints)>, request: Request, next: Next) -> Response {
    let response = match check(request.version(), request.headers()) {
        // After a panic nothing of the request is used again.
        Ok(()) => AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(of_panic),
        Err(error) => error.into_response(),
    };
    write_errors(response, dialect, hints)
}

/// A proxy might read the other value of a header that is there twice, another host, and another end of a body.
fn check(version: Version, headers: &HeaderMap) -> Result<(), ApiError> {
    if version == Version::HTTP_11 && !headers.contains_key(HOST) {
        return Err(ApiError::no_host());
    }
    for name in [HOST, AUTHORIZATION, ORIGIN] {
        if headers.get_all(&name).iter().nth(1).is_some() {
            return Err(ApiError::repeated_header(&name));
        }
    }
    let mut transfers = headers.get_all(TRANSFER_ENCODING).iter();
    if transfers.any(|transfer| !transfer.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(ApiError::unknown_transfer());
    }
    if headers.get_all(TRANSFER_ENCODING).iter().nth(1).is_some() {
        return Err(ApiError::repeated_header(&TRANSFER_ENCODING));
    }
    Ok(())
}
