//! A client for talking to servers without the command line. Each of its answers must be one that the OpenAPI document
//! describes.

use std::sync::LazyLock;

use http::Extensions;
use memcloud_test_document::{Answer, Document};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new(&memcloud_server::openapi_json()));

/// Checks each answer that has come whole. Streams are handed on as they come.
struct Checked;

#[async_trait::async_trait]
impl Middleware for Checked {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = next.run(request, extensions).await?;
        let content_type = response.headers().get(CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap());
        if content_type.starts_with("text/event-stream") {
            return Ok(response);
        }
        let (content_type, status) = (content_type.to_owned(), response.status());
        let (mut head, ()) = http::Response::new(()).into_parts();
        (head.status, head.headers) = (status, response.headers().clone());
        let text = response.text().await?;
        DOCUMENT.check(Answer {
            method: method.as_str(),
            path: &path,
            status: status.as_u16(),
            content_type: &content_type,
            text: &text,
        });
        Ok(http::Response::from_parts(head, text).into())
    }
}

/// A client of instances.
pub(crate) fn http() -> ClientWithMiddleware {
    checked(http_client().build().unwrap())
}

/// A client of instances that is this one otherwise.
pub(crate) fn checked(client: reqwest::Client) -> ClientWithMiddleware {
    ClientBuilder::new(client).with(Checked).build()
}

/// A client of anything, before it is made.
pub(crate) fn http_client() -> reqwest::ClientBuilder {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}
