//! The guard of a server without keys: only programs on this machine are served, and no web page of another site.

use axum::extract::Request;
use axum::http::header;
use axum::http::uri::Authority;
use memcloud_domain::is_loopback;

use crate::peer::Peer;

/// Why a request may not come from a program on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLocal {
    /// It came from another machine.
    Peer,
    /// It names another host: so a web page reaches a local server through a domain of its own (DNS rebinding).
    Host,
    /// A web page of another site sent it.
    Origin,
    /// A proxy passed it on: the address of the peer is the proxy's, and the sender is not known.
    Proxy,
}

/// How the names of headers begin by which proxies say what they pass on: RFC 7239, nginx, Envoy, Cloudflare, Fastly, Fly, the
/// load balancers of AWS, Azure and Google, and tunnels.
const OF_PROXIES: [&str; 15] = [
    "forwarded",
    "via",
    "x-forwarded",
    "x-original-",
    "x-real-ip",
    "x-remote-",
    "x-envoy-",
    "x-amzn-",
    "x-appengine-",
    "x-azure-",
    "cdn-",
    "cf-",
    "fly-",
    "ngrok-",
    "tailscale-",
];

/// How their names end otherwise: x-client-ip, true-client-ip, wl-proxy-client-ip and others.
const OF_PROXIES_END: &str = "client-ip";

/// Whether a proxy sends a header of this name. Some servers read `_` as `-`.
fn is_of_proxy(name: &str) -> bool {
    let name = name.as_bytes();
    let is = |part: Option<&[u8]>, wanted: &str| {
        let read = |byte: &u8| if *byte == b'_' { b'-' } else { *byte };
        part.is_some_and(|part| part.iter().map(read).eq(wanted.bytes()))
    };
    let ending = name.len().checked_sub(OF_PROXIES_END.len()).and_then(|start| name.get(start..));
    is(ending, OF_PROXIES_END) || OF_PROXIES.iter().any(|start| is(name.get(..start.len()), start))
}

/// Checks the address of the peer, where a listener knows it, and the names that the request gives.
pub fn from_this_machine(request: &Request) -> Result<(), NotLocal> {
    let headers = request.headers();
    let from_elsewhere = |Peer(address): &Peer| !address.ip().to_canonical().is_loopback();
    if request.extensions().get().is_some_and(from_elsewhere) {
        return Err(NotLocal::Peer);
    }
    if headers.keys().any(|name| is_of_proxy(name.as_str())) {
        return Err(NotLocal::Proxy);
    }
    if !names_this_machine(request) {
        return Err(NotLocal::Host);
    }
    let other_site = headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"cross-site");
    let other_origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        !origin.is_some_and(|(scheme, authority)| matches!(scheme, "http" | "https") && is_own(authority))
    });
    if other_site || other_origin { Err(NotLocal::Origin) } else { Ok(()) }
}

/// Whether a request names this machine as its host, and no other.
pub fn names_this_machine(request: &Request) -> bool {
    // RFC 9112, 3.2.2: the host of an absolute target counts more than the header. Here neither may be another.
    let in_header = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    let in_target = request.uri().authority().map(Authority::as_str);
    let mut hosts = in_header.into_iter().chain(in_target).peekable();
    hosts.peek().is_some() && hosts.all(is_own)
}

/// Whether `name`, `name:port`, `address:port` or `[address]:port` is this machine's own.
fn is_own(authority: &str) -> bool {
    let after_host = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after_host..].split_once(':') {
        Some((host, port)) => is_port(port) && is_loopback(&authority[..after_host + host.len()]),
        None => is_loopback(authority),
    }
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
    fn requests_forwarded_by_a_proxy_are_refused() {
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "X_Forwarded_For",
            "X-Forwarded-Anything",
            "Via",
            "X-Real-IP",
            "WL-Proxy-Client-IP",
            "Client_IP",
            "X_Client-IP",
            "CF-Connecting-IPv6",
            "Fly-Client-IP",
            "X-Amzn-Trace-Id",
            "Tailscale-User-Login",
        ] {
            let request = Request::get("/").header(header::HOST, "localhost").header(name, "");
            let refused = from_this_machine(&request.body(Body::empty()).unwrap());
            assert_eq!(refused, Err(NotLocal::Proxy), "{name}");
        }
    }

    #[test]
    fn a_target_on_another_host_is_refused_whatever_the_header_says() {
        for (target, host, is_local) in [
            ("http://evil.com/", "localhost", false),
            ("http://localhost/", "evil.com", false),
            ("http://localhost:80/", "127.0.0.1", true),
        ] {
            let request = Request::get(target).header(header::HOST, host).body(Body::empty()).unwrap();
            assert_eq!(from_this_machine(&request).is_ok(), is_local, "{target} {host}");
        }
    }

    #[test]
    fn only_web_pages_of_this_machine_may_send() {
        for (origin, is_local) in [
            ("http://localhost:3000", true),
            ("https://127.0.0.1", true),
            ("https://example.com", false),
            ("null", false),
            ("chrome-extension://localhost", false),
            ("javascript://localhost", false),
            ("file://localhost", false),
        ] {
            let request = Request::builder().header("host", "localhost").header("origin", origin);
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(from_this_machine(&request).is_ok(), is_local, "{origin}");
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
            assert!(is_own(own), "{own}");
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
            "..localhost",
            "[127.0.0.1]:80",
            "::1:80",
        ] {
            assert!(!is_own(foreign), "{foreign}");
        }
    }
}
