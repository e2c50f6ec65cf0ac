use std::time::Duration;

use memcloud_control::access::Role;
use serde_json::{Value, json};

use crate::test_console::{Answer, Console};

const PASSWORD: &str = "correct horse battery";

async fn sign_in(console: &Console, name: &str, password: &str) -> Answer {
    let body = json!({"name": name, "password": password}).to_string();
    console.send("POST", "/api/sign-in", &[], &body).await
}

/// The cookie that an answer sets, as a browser sends it.
fn cookie(answer: &Answer) -> String {
    let set = answer.headers["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_password_opens_a_session_for_programs_and_browsers() {
    let console = Console::open().await;
    console.user("ann", Role::Viewer, Some(PASSWORD)).await;
    let answer = sign_in(&console, "ann", PASSWORD).await;
    let signed_in = answer.ok();
    assert_eq!((&signed_in["user"]["name"], &signed_in["user"]["role"]), (&json!("ann"), &json!("viewer")));
    let set = answer.headers["set-cookie"].to_str().unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=4"] {
        assert!(set.contains(attribute), "{set}");
    }
    console.get(signed_in["token"].as_str().unwrap(), "/api/instances").await.ok();
    let cookie = cookie(&answer);
    let with_cookie = async || console.send("GET", "/api/instances", &[("cookie", &cookie)], "").await;
    with_cookie().await.ok();
    let signed_out =
        console.send("DELETE", "/api/session", &[("cookie", &format!("a=b; {cookie}"))], "").await;
    assert!(signed_out.ok()["revoked_at"].is_string());
    assert!(signed_out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(with_cookie().await.code(401), "token_revoked");
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let console = Console::open().await;
    console.user("ann", Role::Viewer, Some(PASSWORD)).await;
    let token = sign_in(&console, "ann", PASSWORD).await.ok()["token"].as_str().unwrap().to_owned();
    console.clock.forward(Duration::from_hours(12));
    assert_eq!(console.get(&token, "/api/instances").await.code(401), "token_expired");
}

#[tokio::test]
async fn wrong_passwords_unknown_names_and_users_without_a_password_get_the_same_answer() {
    let console = Console::open().await;
    console.user("ann", Role::Viewer, Some(PASSWORD)).await;
    console.user("bob", Role::Viewer, None).await;
    for (name, password) in
        [("ann", "wrong horse battery"), ("eve", PASSWORD), ("bob", PASSWORD), ("bob", "")]
    {
        let answer = sign_in(&console, name, password).await;
        assert_eq!(answer.code(401), "wrong_password", "{name}");
        assert!(answer.headers.get("set-cookie").is_none());
    }
}

#[tokio::test]
async fn a_thousand_wrong_passwords_are_slowed_down_and_in_the_audit_log() {
    let console = Console::open().await;
    console.user("ann", Role::Viewer, Some(PASSWORD)).await;
    console.clock.stop();
    let attempts = (0..1_000).map(|number| {
        let console = &console;
        async move { sign_in(console, "ann", &format!("wrong password {number}")).await }
    });
    let answers = futures_util::future::join_all(attempts).await;
    let (verified, slowed): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 401);
    assert_eq!((verified.len(), slowed.len()), (5, 995));
    for answer in slowed {
        assert_eq!(answer.code(429), "too_many_passwords");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    assert_eq!(
        sign_in(&console, "ann", PASSWORD).await.code(429),
        "too_many_passwords",
        "also the right one waits"
    );
    let refused =
        ("ann".to_owned(), "refused sign-in".to_owned(), "ann".to_owned(), Some([127, 0, 0, 1].into()));
    let audit = console.audit().await;
    assert_eq!(audit.iter().filter(|entry| **entry == refused).count(), 5);
    console.clock.forward(Duration::from_secs(1));
    sign_in(&console, "ann", PASSWORD).await.ok();
}

#[tokio::test]
async fn a_link_signs_in_once_and_for_a_quarter_of_an_hour() {
    let console = Console::open().await;
    let owner = console.owner_token().await;
    let ann = console.user("ann", Role::Member, None).await;
    let link = async |body: Value| {
        let made = console.call(&owner, "POST", "/api/sign-in-links", &body).await.ok();
        let address = made["sign_in"].as_str().unwrap().to_owned();
        address.strip_prefix("http://127.0.0.1:8090").unwrap().to_owned()
    };
    let path = link(json!({"user": ann.id.as_str()})).await;
    assert!(path.starts_with("/sign-in/"), "{path}");
    let answer = console.send("GET", &path, &[], "").await;
    assert_eq!(answer.ok()["user"]["name"], "ann");
    console.send("GET", "/api/instances", &[("cookie", &cookie(&answer))], "").await.ok();
    assert_eq!(console.send("GET", &path, &[], "").await.code(401), "unknown_link");
    let own = link(json!({})).await;
    assert_eq!(console.send("GET", &own, &[], "").await.ok()["user"]["name"], "owner");
    let late = link(json!({})).await;
    console.clock.forward(Duration::from_mins(15));
    assert_eq!(console.send("GET", &late, &[], "").await.code(401), "unknown_link");
    let unknown = json!({"user": "0123456789ab"});
    assert_eq!(console.call(&owner, "POST", "/api/sign-in-links", &unknown).await.code(404), "not_found");
}

#[tokio::test]
async fn only_a_session_is_signed_out_of() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let answer = console.call(&token, "DELETE", "/api/session", &Value::Null).await;
    assert_eq!(answer.code(409), "not_a_session");
    console.get(&token, "/api/instances").await.ok();
}

#[tokio::test]
async fn a_cookie_is_sent_over_tls_only_where_the_console_has_it() {
    let console = Console::at("https://console.example.com", false).await;
    console.user("ann", Role::Viewer, Some(PASSWORD)).await;
    let answer = sign_in(&console, "ann", PASSWORD).await;
    assert!(answer.headers["set-cookie"].to_str().unwrap().ends_with("; Secure"));
}

#[tokio::test]
async fn a_user_changes_the_own_password_and_keeps_this_sign_in_alone() {
    let console = Console::open().await;
    console.user("ann", Role::Viewer, Some(PASSWORD)).await;
    let token = async || sign_in(&console, "ann", PASSWORD).await.ok()["token"].as_str().unwrap().to_owned();
    let (own, other) = (token().await, token().await);
    let change = async |current: &str, password: &str| {
        let body = json!({"current": current, "password": password});
        console.call(&own, "POST", "/api/password", &body).await
    };
    assert_eq!(change(PASSWORD, "short").await.code(422), "invalid_password");
    let changed = change(PASSWORD, "another horse battery").await;
    assert_eq!(changed.ok()["name"], "ann");
    console.get(&own, "/api/instances").await.ok();
    assert_eq!(console.get(&other, "/api/instances").await.code(401), "unauthorized");
    assert_eq!(sign_in(&console, "ann", PASSWORD).await.code(401), "wrong_password");
    sign_in(&console, "ann", "another horse battery").await.ok();
    console.clock.stop();
    for _ in 0..5 {
        assert_eq!(change(PASSWORD, "a third horse battery").await.code(403), "wrong_password");
    }
    assert_eq!(
        change("another horse battery", "a third horse battery").await.code(429),
        "too_many_passwords"
    );
}
