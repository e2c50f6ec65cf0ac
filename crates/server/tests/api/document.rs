//! Holds every answer of these tests against the OpenAPI document.

use std::sync::LazyLock;

use axum::http::{HeaderMap, Method, StatusCode, header};
use memcloud_test_document::{Answer, Document};

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new(&memcloud_server::openapi_json()));

/// Fails the test when the document does not describe this answer.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, (status, headers, text): (StatusCode, &HeaderMap, &str)) {
    let content_type = headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap());
    DOCUMENT.check(Answer { method: method.as_str(), path, status: status.as_u16(), content_type, text });
}
