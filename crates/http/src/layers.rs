//! The layers that every server has around its routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, TRANSFER_ENCODING};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::{ApiError, Dialect, Hints, of_panic, write_errors};
use crate::{Metrics, observe};

/// The router of a server: with ids, access lines and metrics for all requests, the errors of all routes in their dialect
/// with these hints, panics as errors, and without requests whose head can be read in two ways.
pub fn served(
    routes: impl IntoIterator<Item = (Dialect, Router)>,
    metrics: Arc<Metrics>,
    hints: Hints,
) -> Router {
    let in_dialect = |(dialect, routes): (Dialect, Router)| {
        routes
            .layer(from_fn(refuse_ambiguous))
            .layer(CatchPanicLayer::custom(of_panic))
            .layer(map_response_with_state((dialect, hints), write_errors))
    };
    let all = routes.into_iter().map(in_dialect).fold(Router::new(), Router::merge);
    all.layer(from_fn_with_state(metrics, observe))
}

async fn refuse_ambiguous(request: Request, next: Next) -> Response {
    match check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// A proxy might read the other value of a header that is there twice, and another end of a body.
fn check(headers: &HeaderMap) -> Result<(), ApiError> {
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
