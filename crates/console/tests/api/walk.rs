//! Every route of the document: who may call it.

use memcloud_console::openapi_json;
use memcloud_control::access::Role;
use serde_json::{Value, json};

use crate::test_console::{Answer, Console};

struct Route {
    method: String,
    path: String,
    /// What it needs; nothing for a route that is open.
    rights: Vec<String>,
}

/// Every route of the document. `instance` and `operation` are put in place of ids.
fn every_route(instance: &str, operation: &str) -> Vec<Route> {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut routes = vec![];
    for (path, operations) in document["paths"].as_object().unwrap() {
        let id = if path.starts_with("/api/operations/") { operation } else { instance };
        let named = path.replace("{id}", id).replace("{key}", "0123456789ab").replace("{secret}", "mct_x");
        for (method, described) in operations.as_object().unwrap() {
            let security = described["security"].as_array().expect("every route says who may call it");
            let rights = security[0]["bearer"].as_array().map_or(&[][..], Vec::as_slice);
            let rights = rights.iter().map(|right| right.as_str().unwrap().to_owned()).collect();
            routes.push(Route { method: method.to_uppercase(), path: named.clone(), rights });
        }
    }
    assert!(routes.len() > 30);
    routes
}

/// A body that the route accepts, as far as that is possible without knowing more.
fn body(route: &Route) -> Value {
    match (route.method.as_str(), route.path.rsplit('/').next().unwrap()) {
        ("POST", "instances" | "plan" | "clone") => json!({"name": "another"}),
        ("POST", "upgrade" | "sign-in-links") => json!({}),
        ("POST", "organizations") => json!({"owner": "the owner of another"}),
        ("POST", "password") => json!({"current": "no password", "password": "another password"}),
        ("POST", "users") => json!({"name": "another", "role": "viewer"}),
        ("POST", "tokens") => json!({"name": "another", "scopes": ["read"]}),
        ("POST", "keys") => json!({"name": "another", "rights": ["read"]}),
        ("POST", "sign-in") => json!({"name": "another", "password": "another password"}),
        ("PATCH", _) => json!({"role": "member"}),
        ("DELETE", _) if route.path.matches('/').count() == 3 && route.path.contains("/instances/") => {
            json!({"confirm": "own"})
        }
        _ => Value::Null,
    }
}

async fn call(console: &Console, token: &str, route: &Route) -> Answer {
    console.call(token, &route.method, &route.path, &body(route)).await
}

#[tokio::test]
async fn every_route_but_liveness_and_signing_in_needs_a_token() {
    let console = Console::open().await;
    let (instance, operation) = console.create(&console.owner_token().await, "own").await;
    let mut open = vec![];
    for route in every_route(&instance, &operation) {
        let Route { method, path, rights } = &route;
        let body = body(&route);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let without = console.send(method, path, &[], &body).await;
        if rights.is_empty() {
            open.push(path.clone());
            continue;
        }
        assert_eq!(without.code(401), "unauthorized", "{method} {path}");
        assert_eq!(without.headers["www-authenticate"], "Bearer");
        for token in ["Bearer mct_unknown", "Bearer ", "Basic b3duZXI6", "mct_unknown"] {
            let answer = console.send(method, path, &[("authorization", token)], &body).await;
            assert_eq!(answer.code(401), "unauthorized", "{method} {path} {token}");
        }
    }
    open.sort_unstable();
    assert_eq!(open, ["/api/sign-in", "/health/live", "/sign-in/mct_x"]);
    for path in ["/", "/api", "/api/nothing", "/metrics"] {
        assert_eq!(console.send("GET", path, &[], "").await.code(401), "unauthorized", "{path}");
    }
}

#[tokio::test]
async fn another_organizations_owner_sees_nothing_of_it() {
    let console = Console::open().await;
    let own = console.owner_token().await;
    let instance = console.made(&own, "own").await;
    let operations = console.get(&own, "/api/operations").await.ok();
    let operation = operations["operations"][0]["id"].as_str().unwrap().to_owned();
    let foreign = console.foreign_token().await;
    for route in every_route(&instance, &operation) {
        let Route { method, path, rights } = &route;
        if rights.is_empty() || path == "/api/session" || path == "/api/password" {
            continue;
        }
        let answer = call(&console, &foreign, &route).await;
        if path == "/api/organizations" {
            assert_eq!(answer.code(403), "not_first_organization");
            continue;
        }
        if path.contains(&instance) || path.contains(&operation) {
            assert_eq!(answer.code(404), "not_found", "{method} {path}");
        } else {
            answer.ok();
            for known in [&instance, &operation, console.owner.id.as_str()] {
                assert!(!answer.text.contains(known), "{method} {path}: {}", answer.text);
            }
        }
    }
    for (kind, known) in [("users", console.owner.id.as_str()), ("tokens", "0123456789ab")] {
        let answer = console.call(&foreign, "DELETE", &format!("/api/{kind}/{known}"), &Value::Null).await;
        assert_eq!(answer.code(404), "not_found", "{kind}");
    }
    let of_instance = console.get(&foreign, &format!("/api/operations?instance={instance}")).await.ok();
    assert_eq!(of_instance["operations"], json!([]));
    let unchanged = console.get(&own, &format!("/api/instances/{instance}")).await.ok();
    assert_eq!(unchanged["state"], "running");
}

#[tokio::test]
async fn a_role_permits_what_the_document_says() {
    let console = Console::open().await;
    let own = console.owner_token().await;
    let instance = console.made(&own, "own").await;
    let operations = console.get(&own, "/api/operations").await.ok();
    let operation = operations["operations"][0]["id"].as_str().unwrap().to_owned();
    let (viewer, member) = (console.token_as(Role::Viewer).await, console.token_as(Role::Member).await);
    for route in every_route(&instance, &operation) {
        let Route { method, path, rights } = &route;
        for (token, may) in [(&viewer, &["read"][..]), (&member, &["read", "write"][..])] {
            if rights.iter().all(|right| may.contains(&right.as_str())) {
                continue;
            }
            let answer = call(&console, token, &route).await;
            assert_eq!(answer.code(403), "forbidden_right", "{method} {path}");
        }
        let changes = !matches!(method.as_str(), "GET");
        let is_own = path.starts_with("/api/tokens")
            || matches!(&**path, "/api/session" | "/api/password" | "/api/plan");
        if changes && !rights.is_empty() && !is_own {
            assert_ne!(rights, &["read"], "{method} {path} changes something");
        }
    }
}

#[tokio::test]
async fn a_token_permits_no_more_than_its_scopes() {
    let console = Console::open().await;
    let own = console.owner_token().await;
    let (instance, operation) = console.create(&own, "own").await;
    let scopes = [memcloud_domain::Right::Write].into_iter().collect();
    let writes = console.token_of(&console.owner.id, scopes, None).await;
    for route in every_route(&instance, &operation) {
        if route.rights.iter().any(|right| right != "write") {
            let answer = call(&console, &writes, &route).await;
            assert_eq!(answer.code(403), "forbidden_right", "{} {}", route.method, route.path);
        }
    }
    console.call(&writes, "POST", "/api/instances", &json!({"name": "another"})).await.ok();
}
