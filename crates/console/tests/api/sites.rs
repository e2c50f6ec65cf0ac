use memcloud_control::access::Role;
use serde_json::json;

use crate::test_console::Console;

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn pages_of_other_sites_change_nothing_and_read_nothing_with_a_cookie() {
    let console = Console::open().await;
    console.user("ann", Role::Owner, Some(PASSWORD)).await;
    let body = json!({"name": "ann", "password": PASSWORD}).to_string();
    let signed_in = console.send("POST", "/api/sign-in", &[], &body).await;
    let cookie = signed_in.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let bearer = format!("Bearer {}", signed_in.ok()["token"].as_str().unwrap());
    let create = |name: &str| json!({"name": name}).to_string();
    for origin in [
        "http://evil.example",
        "null",
        "http://127.0.0.1:3000",
        "http://localhost:8090",
        "file://127.0.0.1:8090",
    ] {
        for credential in [("cookie", cookie.as_str()), ("authorization", bearer.as_str())] {
            let headers = [credential, ("origin", origin)];
            let answer = console.send("POST", "/api/instances", &headers, &create("evil")).await;
            assert_eq!(answer.code(403), "forbidden_origin", "{origin}");
        }
        let headers = [("cookie", cookie.as_str()), ("origin", origin)];
        let answer = console.send("GET", "/api/instances", &headers, "").await;
        assert_eq!(answer.code(403), "forbidden_origin", "{origin}");
        let answer = console.send("POST", "/api/sign-in", &[("origin", origin)], &body).await;
        assert_eq!(answer.code(403), "forbidden_origin", "{origin}");
    }
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    assert_eq!(console.send("GET", "/api/instances", &headers, "").await.code(403), "forbidden_origin");
    // Its own pages, and programs.
    let headers = [("cookie", cookie.as_str()), ("origin", "http://127.0.0.1:8090")];
    console.send("POST", "/api/instances", &headers, &create("own")).await.ok();
    let headers = [("authorization", bearer.as_str())];
    console.send("POST", "/api/instances", &headers, &create("program")).await.ok();
    // A page of another site that has a token of its own may read: no browser added it.
    let headers = [("authorization", bearer.as_str()), ("origin", "http://evil.example")];
    console.send("GET", "/api/instances", &headers, "").await.ok();
}

#[tokio::test]
async fn a_console_on_this_machine_answers_to_its_own_names() {
    let console = Console::open().await;
    let bearer = format!("Bearer {}", console.owner_token().await);
    for (host, answers) in [
        ("127.0.0.1:8090", true),
        ("localhost:8090", true),
        ("[::1]:8090", true),
        ("evil.example", false),
        ("evil.example:8090", false),
        ("127.0.0.1.evil.example", false),
        ("", false),
    ] {
        let headers = [("host", host), ("authorization", &bearer)];
        let answer = console.send("GET", "/api/instances", &headers, "").await;
        if answers {
            answer.ok();
        } else {
            assert_eq!(answer.code(403), "forbidden_host", "{host}");
        }
    }
    // A proxy on this machine passes on what programs with a token send.
    let headers = [("x-forwarded-for", "203.0.113.7"), ("authorization", &*bearer)];
    console.send("GET", "/api/instances", &headers, "").await.ok();
}

#[tokio::test]
async fn a_console_behind_a_proxy_answers_to_the_name_of_its_address() {
    let console = Console::at("https://console.example.com", true).await;
    let bearer = format!("Bearer {}", console.owner_token().await);
    let create = |name: &str| json!({"name": name}).to_string();
    // The proxy keeps the host, or names the console's own.
    for (host, name) in [("console.example.com", "kept"), ("127.0.0.1:8090", "replaced")] {
        let headers =
            [("host", host), ("authorization", &*bearer), ("origin", "https://console.example.com")];
        console.send("POST", "/api/instances", &headers, &create(name)).await.ok();
    }
    let headers = [("host", "other.example.com"), ("authorization", &*bearer)];
    assert_eq!(console.send("GET", "/api/instances", &headers, "").await.code(403), "forbidden_host");
}
