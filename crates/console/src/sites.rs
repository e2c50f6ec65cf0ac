//! Which hosts and web pages a request may come from.
//!
//! A browser sends a page's requests with the cookies of the console, and from a page on the same machine it reaches a
//! console that listens on a loopback address only. So the console answers to its own names, and to its own pages.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use memcloud_http::{ApiError, names_this_machine};

use crate::App;
use crate::guard::session_cookie;

/// Refuses requests for other hosts and those of the pages of other sites.
pub(crate) async fn sites(State(app): State<App>, request: Request, next: Next) -> Response {
    let error = if app.is_local && !names_this_machine(&request) && !names(&request, &app) {
        let detail = "this console listens on this machine only, and the request names another host";
        ApiError::new(StatusCode::FORBIDDEN, detail, "forbidden_host")
    } else if may_do_harm(&request) && is_of_other_site(&request, &app) {
        let detail = "the console does not answer to pages of other sites";
        ApiError::new(StatusCode::FORBIDDEN, detail, "forbidden_origin")
    } else {
        return next.run(request).await;
    };
    error.into_response()
}

/// Whether a request names the console as its address does.
fn names(request: &Request, app: &App) -> bool {
    host(request).is_some_and(|host| app.url.authority().is_some_and(|own| same(own.as_str(), host)))
}

/// The host that a request names.
fn host(request: &Request) -> Option<&str> {
    let in_target = request.uri().authority().map(Authority::as_str);
    in_target.or_else(|| request.headers().get(header::HOST)?.to_str().ok())
}

/// Whether a page that sends the request without the user's will could change or read something.
fn may_do_harm(request: &Request) -> bool {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    !only_reads || session_cookie(request.headers()).is_some()
}

/// Whether the page of another site sent the request. Programs send no origin.
fn is_of_other_site(request: &Request, app: &App) -> bool {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN) else {
        return headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"cross-site");
    };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let is_own = origin.is_some_and(|(scheme, authority)| {
        let is_of_url = || {
            app.url.scheme_str() == Some(scheme)
                && app.url.authority().is_some_and(|own| same(own.as_str(), authority))
        };
        let is_of_host = || host(request).is_some_and(|host| same(host, authority));
        matches!(scheme, "http" | "https") && (is_of_host() || is_of_url())
    });
    !is_own
}

fn same(host: &str, other: &str) -> bool {
    host.eq_ignore_ascii_case(other)
}
