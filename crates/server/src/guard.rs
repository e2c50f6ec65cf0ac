//! Who may call. With keys: whoever holds one. Without: only programs on this machine, and no web page of another site.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use memcloud_domain::Caller;

use crate::App;
use crate::error::ApiError;
use crate::keys::Stranger;
use crate::serve::Peer;

/// Lets a request through to everything but liveness only when its caller may call.
pub(crate) async fn callers(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let caller = match app.keys.caller(bearer(headers)).await {
        Err(Stranger::Keyless) => from_this_machine(&request).map(|()| Caller::local()),
        caller => caller.map_err(ApiError::from),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Without keys only this machine is served: by the address of the peer, where a listener knows it, and by the names that
/// the request gives. A foreign name in `Host` is how a web page reaches a local server through its own domain (DNS rebinding); a foreign
/// `Origin` is a web page that says so itself.
fn from_this_machine(request: &Request) -> Result<(), ApiError> {
    let (headers, uri) = (request.headers(), request.uri());
    let from_elsewhere = |Peer(address): &Peer| !address.ip().to_canonical().is_loopback();
    if request.extensions().get().is_some_and(from_elsewhere) {
        return Err(ApiError::unauthorized());
    }
    let host = match headers.get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => uri.authority().map(axum::http::uri::Authority::as_str),
    };
    if !host.is_some_and(is_loopback) {
        return Err(ApiError::forbidden_host());
    }
    let foreign_site = headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"cross-site");
    let foreign_origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        let authority =
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
        !authority.is_some_and(is_loopback)
    });
    if foreign_site || foreign_origin { Err(ApiError::forbidden_origin()) } else { Ok(()) }
}

/// Whether `name`, `name:port`, `address:port` or `[address]:port` is this machine's own.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if port.is_empty() || port.strip_prefix(':').is_some_and(is_port) => address,
        Some(_) => return false,
        None => match authority.split_once(':') {
            Some((host, port)) if is_port(port) => host,
            Some(_) => return false,
            None => authority,
        },
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && !text.starts_with('+')
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_peer_elsewhere_is_refused_whatever_it_says() {
        for (peer, is_local) in
            [("127.0.0.1:5000", true), ("[::ffff:127.0.0.1]:5000", true), ("10.0.0.7:5000", false)]
        {
            let request = Request::get("/").header(header::HOST, "localhost");
            let request = request.extension(Peer(peer.parse().unwrap())).body(Body::empty()).unwrap();
            assert_eq!(from_this_machine(&request).is_ok(), is_local, "{peer}");
        }
    }

    #[test]
    fn knows_this_machine() {
        for own in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "app.localhost:80",
            "127.0.0.1",
            "127.1.2.3:8080",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(is_loopback(own), "{own}");
        }
        for foreign in [
            "",
            ":8080",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com:80",
            "10.0.0.1",
            "0.0.0.0:8080",
            "[::2]:80",
            "[::1]evil",
            "[::1",
            "localhost:evil",
            "localhost:+80",
            "evil@localhost",
            "notlocalhost",
        ] {
            assert!(!is_loopback(foreign), "{foreign}");
        }
    }
}
