use std::time::Duration;

use memcloud_control::access::Role;
use memcloud_domain::{Clock, Right, Rights, Timestamp};
use serde_json::{Value, json};

use crate::test_console::Console;

fn read() -> Rights {
    [Right::Read].into_iter().collect()
}

#[tokio::test]
async fn a_token_is_shown_once_listed_without_its_secret_and_revoked() {
    let console = Console::open().await;
    let owner = console.owner_token().await;
    let body = json!({"name": "ci", "scopes": ["read", "write"], "expires_at": "2199-01-31"});
    let made = console.call(&owner, "POST", "/api/tokens", &body).await.ok();
    let (secret, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert_eq!(made["scopes"], json!(["read", "write"]));
    console.get(secret, "/api/instances").await.ok();
    assert_eq!(console.get(secret, "/api/audit").await.code(403), "forbidden_right");
    let list = console.get(&owner, "/api/tokens").await;
    assert!(list.ok()["tokens"].as_array().unwrap().iter().any(|token| token["id"] == id));
    assert!(!list.text.contains(secret));
    let path = format!("/api/tokens/{id}");
    let revoked = console.call(&owner, "DELETE", &path, &Value::Null).await.ok();
    assert!(revoked["revoked_at"].is_string());
    assert_eq!(console.get(secret, "/api/instances").await.code(401), "token_revoked");
    console.call(&owner, "DELETE", &path, &Value::Null).await.ok();
}

#[tokio::test]
async fn a_token_makes_none_that_permits_more_or_lives_longer() {
    let console = Console::open().await;
    let end = Timestamp::from_micros(console.clock.now().as_micros() + 3_600_000_000);
    let token = console.token_of(&console.owner.id, read(), end).await;
    let create = async |body: Value| console.call(&token, "POST", "/api/tokens", &body).await;
    assert_eq!(create(json!({"name": "t", "scopes": ["admin"]})).await.code(403), "forbidden_scope");
    let longer = json!({"name": "t", "scopes": ["read"], "expires_at": "2199-01-31"});
    assert_eq!(create(longer).await.code(422), "outlives_token");
    let made = create(json!({"name": "t", "scopes": ["read"]})).await.ok();
    assert_eq!(made["expires_at"], end.unwrap().to_string());
    for (body, code) in [
        (json!({"name": "t", "scopes": []}), "no_scopes"),
        (json!({"name": "t", "scopes": ["all"]}), "unknown_scope"),
        (json!({"name": " ", "scopes": ["read"]}), "unnamed"),
        (json!({"name": "x".repeat(201), "scopes": ["read"]}), "name_too_long"),
        (json!({"name": "t", "scopes": ["read"], "expires_at": "2001-01-31"}), "time_in_the_past"),
        (json!({"name": "t", "scopes": ["read"], "expires_at": "soon"}), "invalid_time"),
        (json!({"name": "t", "scopes": ["read"], "scope": "admin"}), "unknown_field"),
    ] {
        assert_eq!(create(body.clone()).await.code(422), code, "{body}");
    }
}

#[tokio::test]
async fn users_manage_their_own_tokens_and_owners_all() {
    let console = Console::open().await;
    let (owner, member) = (console.owner_token().await, console.token_as(Role::Member).await);
    let own = console.get(&member, "/api/tokens").await.ok();
    assert_eq!(own["tokens"].as_array().unwrap().len(), 1);
    let all = console.get(&owner, "/api/tokens").await.ok();
    assert_eq!(all["tokens"].as_array().unwrap().len(), 2);
    let of_owner =
        all["tokens"].as_array().unwrap().iter().find(|token| token["user"] == console.owner.id.as_str());
    let path = format!("/api/tokens/{}", of_owner.unwrap()["id"].as_str().unwrap());
    assert_eq!(console.call(&member, "DELETE", &path, &Value::Null).await.code(404), "not_found");
    let path = format!("/api/tokens/{}", own["tokens"][0]["id"].as_str().unwrap());
    console.call(&owner, "DELETE", &path, &Value::Null).await.ok();
    assert_eq!(console.get(&member, "/api/instances").await.code(401), "token_revoked");
}

#[tokio::test]
async fn an_expired_token_opens_nothing() {
    let console = Console::open().await;
    let end = Timestamp::from_micros(console.clock.now().as_micros() + 60_000_000);
    let token = console.token_of(&console.owner.id, Rights::ALL, end).await;
    console.get(&token, "/api/instances").await.ok();
    console.clock.forward(Duration::from_mins(1));
    assert_eq!(console.get(&token, "/api/instances").await.code(401), "token_expired");
}

#[tokio::test]
async fn owners_make_change_and_remove_users() {
    let console = Console::open().await;
    let owner = console.owner_token().await;
    let body = json!({"name": "ann", "role": "viewer", "password": "correct horse battery"});
    let made = console.call(&owner, "POST", "/api/users", &body).await;
    assert!(!made.text.contains("correct horse"));
    let id = made.ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(console.call(&owner, "POST", "/api/users", &body).await.code(409), "user_exists");
    for (body, code) in [
        (json!({"name": "", "role": "viewer"}), "unnamed"),
        (json!({"name": "x".repeat(101), "role": "viewer"}), "name_too_long"),
        (json!({"name": "bob\n", "role": "viewer"}), "control_character"),
        (json!({"name": "bob", "role": "root"}), "unknown_role"),
        (json!({"name": "bob", "role": "viewer", "password": "short"}), "invalid_password"),
        (json!({"name": "bob"}), "missing_field"),
    ] {
        assert_eq!(console.call(&owner, "POST", "/api/users", &body).await.code(422), code, "{body}");
    }
    let path = format!("/api/users/{id}");
    let sign_in = json!({"name": "ann", "password": "correct horse battery"});
    let session = console.send("POST", "/api/sign-in", &[], &sign_in.to_string()).await.ok();
    let token = session["token"].as_str().unwrap();
    let create = json!({"name": "own"});
    assert_eq!(console.call(token, "POST", "/api/instances", &create).await.code(403), "forbidden_right");
    let changed = console.call(&owner, "PATCH", &path, &json!({"role": "member"})).await.ok();
    assert_eq!(changed["role"], "member");
    console.call(token, "POST", "/api/instances", &create).await.ok();
    let password = json!({"password": "another horse battery"});
    console.call(&owner, "PATCH", &path, &password).await.ok();
    assert_eq!(console.get(token, "/api/instances").await.code(401), "unauthorized");
    assert_eq!(console.call(&owner, "DELETE", &path, &Value::Null).await.ok()["name"], "ann");
    assert_eq!(console.call(&owner, "DELETE", &path, &Value::Null).await.code(404), "not_found");
    let users = console.get(&owner, "/api/users").await.ok();
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_last_owner_stays_one() {
    let console = Console::open().await;
    let owner = console.owner_token().await;
    let path = format!("/api/users/{}", console.owner.id);
    let demoted = console.call(&owner, "PATCH", &path, &json!({"role": "viewer"})).await;
    assert_eq!(demoted.code(409), "last_owner");
    assert_eq!(console.call(&owner, "DELETE", &path, &Value::Null).await.code(409), "last_owner");
    console.get(&owner, "/api/users").await.ok();
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_with_who_what_and_from_where() {
    let console = Console::open().await;
    let owner = console.owner_token().await;
    let id = console.made(&owner, "own").await;
    let delete =
        console.call(&owner, "DELETE", &format!("/api/instances/{id}"), &json!({"confirm": "own"})).await;
    console.ended(&owner, delete.ok()["operation"]["id"].as_str().unwrap()).await;
    let user = json!({"name": "ann", "role": "viewer"});
    let user = console.call(&owner, "POST", "/api/users", &user).await.ok();
    let link = json!({"user": user["id"]});
    console.call(&owner, "POST", "/api/sign-in-links", &link).await.ok();
    let audit = console.audit().await;
    let address = Some("127.0.0.1".parse().unwrap());
    for (action, subject) in [
        ("create instance", "own"),
        ("delete instance", "own"),
        ("create user", "ann"),
        ("create sign-in link", "ann"),
    ] {
        let entry = ("owner".to_owned(), action.to_owned(), subject.to_owned(), address);
        assert!(audit.contains(&entry), "{action}: {audit:?}");
    }
    let token = console.owner_token().await;
    let page = console.get(&token, "/api/audit?limit=1").await.ok();
    let next = page["next_cursor"].as_str().unwrap();
    let second = console.get(&token, &format!("/api/audit?limit=1&cursor={next}")).await.ok();
    assert_ne!(page["entries"], second["entries"]);
}

#[tokio::test]
async fn another_organization_begins_with_its_owner_and_sees_nothing_of_the_first() {
    let console = Console::open().await;
    let first = console.owner_token().await;
    let instance = console.made(&first, "own").await;
    let body = json!({"owner": "carol"});
    let made = console.call(&first, "POST", "/api/organizations", &body).await.ok();
    assert_eq!(made["owner"]["role"], "owner");
    let link = made["sign_in"].as_str().unwrap().strip_prefix("http://127.0.0.1:8090").unwrap().to_owned();
    let carol = console.send("GET", &link, &[], "").await.ok()["token"].as_str().unwrap().to_owned();
    assert_eq!(console.get(&carol, "/api/instances").await.ok()["instances"], json!([]));
    assert_eq!(console.get(&carol, &format!("/api/instances/{instance}")).await.code(404), "not_found");
    assert_eq!(console.get(&carol, "/api/users").await.ok()["users"].as_array().unwrap().len(), 1);
    let own = console.made(&carol, "own").await;
    assert_eq!(console.get(&first, &format!("/api/instances/{own}")).await.code(404), "not_found");
    let program = json!({"program": "/bin/sh"});
    let upgrade = console.call(&carol, "POST", &format!("/api/instances/{own}/upgrade"), &program).await;
    assert_eq!(upgrade.code(403), "not_first_organization", "no program of theirs runs on the machine");
    let taken = console.call(&first, "POST", "/api/organizations", &body).await;
    assert_eq!(taken.code(409), "user_exists");
    let denied = console.call(&console.token_as(Role::Viewer).await, "GET", "/api/audit", &Value::Null).await;
    assert!(denied.code(403) == "forbidden_right" && denied.text.contains("this token"), "{}", denied.text);
}
