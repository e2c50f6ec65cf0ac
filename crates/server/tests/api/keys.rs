use crate::test_instance::Instance;
use axum::body::Body;
use axum::http::{Method, Request, Version};
use memcloud_server::{ApiKeys, Settings, openapi_json};
use secrecy::SecretString;
use serde_json::Value;

async fn with_keys() -> Instance {
    let keys: Vec<SecretString> = vec!["first-key".into(), "second-key".into()];
    Instance::with(ApiKeys::new(&keys).unwrap(), Settings::default(), None).await
}

/// Every method and path of the document, with something in place of ids, and those of the compatible prefix; and the
/// rights that each needs.
pub(crate) fn every_route() -> Vec<(Method, String, Vec<String>)> {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut routes = vec![];
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let security = operation["security"].as_array().expect("every route says who may call it");
            let open = security.iter().all(|need| need.as_object().unwrap().is_empty());
            let rights = security[0]["bearer"].as_array().map_or(&[][..], Vec::as_slice);
            assert!(open || !rights.is_empty(), "{method} {path} names no right");
            let rights: Vec<String> = rights.iter().map(|right| right.as_str().unwrap().to_owned()).collect();
            let path = path.replace("{id}", "0190a0a0-0000-7000-8000-000000000000");
            let path = path.replace("{org}", "universal").replace("{project}", "cafe");
            if path.starts_with("/v1/memories") || path.ends_with("/sessions") {
                routes.push((method.clone(), format!("/memmachine{path}"), rights.clone()));
            }
            routes.push((method, path, rights));
        }
    }
    routes
}

#[tokio::test]
async fn every_route_but_liveness_needs_a_key() {
    let instance = with_keys().await;
    let routes = every_route();
    assert!(routes.len() > 30, "{routes:?}");
    let open: Vec<&str> =
        routes.iter().filter(|(_, _, rights)| rights.is_empty()).map(|(_, path, _)| path.as_str()).collect();
    assert_eq!(open, ["/health/live"]);
    for (method, path, rights) in &routes {
        let without = instance.send(method.as_str(), path, &[], Body::empty()).await;
        if rights.is_empty() {
            assert_eq!(without.status, 200, "{path}");
            continue;
        }
        assert_eq!(without.code(401), "unauthorized", "{method} {path}");
        assert_eq!(without.headers["www-authenticate"], "Bearer");
        let key = [("authorization", "Bearer second-key")];
        let with = instance.send(method.as_str(), path, &key, Body::empty()).await;
        assert_ne!(with.status, 401, "{method} {path}");
        // This instance has no language model, which is not a defect.
        let defect = with.status.is_server_error() && !with.text.contains("no_model");
        assert!(!defect, "{method} {path}: {}", with.text);
        assert_ne!(with.status, 405, "{method} {path}");
    }
    for path in ["/", "/v1/nothing", "/memmachine/x"] {
        assert_eq!(instance.get(path).await.code(401), "unauthorized", "{path}");
    }
}

#[tokio::test]
async fn only_a_right_key_opens() {
    let instance = with_keys().await;
    for (header, admitted) in [
        ("Bearer first-key", true),
        ("bearer first-key", true),
        ("Bearer  first-key", true),
        ("Bearer first-ke", false),
        ("Bearer first-keyy", false),
        ("Bearer ", false),
        ("Bearer", false),
        ("first-key", false),
        ("Basic first-key", false),
        ("Bearer first-key,second-key", false),
    ] {
        let answer = instance.send("GET", "/v1/sessions", &[("authorization", header)], Body::empty()).await;
        assert_eq!(answer.status.is_success(), admitted, "{header}");
    }
}

#[tokio::test]
async fn a_key_makes_names_and_origins_irrelevant() {
    let instance = with_keys().await;
    let request = Request::get("/v1/sessions")
        .header("host", "memory.example.com")
        .header("origin", "https://app.example.com")
        .header("authorization", "Bearer first-key");
    instance.call(request.body(Body::empty()).unwrap()).await.ok();
}

#[tokio::test]
async fn openai_routes_refuse_in_openais_shape_before_their_handler_is_reached() {
    let instance = Instance::open().await;
    for (method, path, other) in [("POST", "/v1/chat/completions", "GET"), ("GET", "/v1/models", "POST")] {
        for (method, header, status, code) in [
            (method, ("origin", "https://evil.example"), 403, "forbidden_origin"),
            (method, ("x-forwarded-for", "10.0.0.7"), 403, "forbidden_proxy"),
            (method, ("host", "localhost"), 400, "repeated_header"),
            (other, ("origin", "http://localhost"), 405, "method_not_allowed"),
        ] {
            let refused = instance.send(method, path, &[header], Body::empty()).await;
            assert_eq!((refused.status.as_u16(), &*refused.openai_code()), (status, code), "{path}");
        }
    }
}

#[tokio::test]
async fn without_a_key_only_this_machine_is_served() {
    let instance = Instance::open().await;
    for (host, origin, site, code) in [
        (Some("localhost:8080"), None, None, None),
        (Some("127.0.0.1:8080"), Some("http://localhost:3000"), Some("same-site"), None),
        (Some("[::1]:8080"), Some("http://[::1]:8080"), Some("same-origin"), None),
        (Some("evil.example"), None, None, Some("forbidden_host")),
        (Some("192.168.0.7:8080"), None, None, Some("forbidden_host")),
        (Some("localhost"), Some("https://evil.example"), None, Some("forbidden_origin")),
        (Some("localhost"), Some("null"), None, Some("forbidden_origin")),
        (Some("localhost"), None, Some("cross-site"), Some("forbidden_origin")),
    ] {
        let mut request = Request::get("/v1/sessions");
        for (name, value) in [("host", host), ("origin", origin), ("sec-fetch-site", site)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let answer = instance.call(request.body(Body::empty()).unwrap()).await;
        match code {
            None => drop(answer.ok()),
            Some(code) => assert_eq!(answer.code(403), code, "{host:?} {origin:?} {site:?}"),
        }
    }
    // HTTP/1.0 may leave the host out.
    let request = Request::get("/v1/sessions").version(Version::HTTP_10).body(Body::empty()).unwrap();
    assert_eq!(instance.call(request).await.code(403), "forbidden_host");
}
