//! `GET /api/openapi.json`

use std::sync::LazyLock;

use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use memcloud_http::{Allowed, Read};

/// The document of all routes, which is made when it is read first.
#[derive(Clone, Copy)]
pub(crate) struct Document(pub(crate) &'static LazyLock<String>);

/// This document.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    tag = "console",
    responses((status = 200, description = "The OpenAPI document.", content_type = "application/json", body = Object)),
)]
pub(crate) async fn openapi(_: Allowed<Read>, Extension(document): Extension<Document>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], document.0.as_str())
}
