use serde_json::json;

use crate::home::{Home, Server};

#[test]
fn keys_are_created_listed_and_revoked() {
    let home = Home::new();
    let server = home.serve();
    let run = |args: &[&str], key: &str| {
        let key: &[&str] = if key.is_empty() { &[] } else { &["--key", key] };
        home.run(&[args, &["--url", &server.url], key].concat())
    };
    let refused = run(&["keys", "create", "first", "--right", "read"], "").failed(1);
    assert!(refused.stderr.contains("'admin'"), "{refused:?}");

    let created = run(&["keys", "create", "first", "--right", "admin", "--right", "read"], "").ok();
    let admin = created.stdout.trim().to_owned();
    assert!(admin.starts_with("mck_") && !created.stderr.contains(&admin), "{created:?}");
    run(&["keys", "list"], "").failed(5);

    let create =
        ["keys", "create", "an app", "--right", "read", "--space", "a", "--space", "b", "--expires", "30d"];
    let app = run(&[&create[..], &["--json"]].concat(), &admin).ok().json();
    assert_eq!((&app["rights"], &app["spaces"]), (&json!(["read"]), &json!(["a", "b"])));
    let (id, key) = (app["id"].as_str().unwrap(), app["key"].as_str().unwrap());
    run(&["list", "--group", "a"], key).ok();
    let foreign = run(&["list", "--group", "c"], key).failed(5);
    assert!(foreign.stderr.contains("'c'"), "{foreign:?}");
    let lacks = run(&["add", "hello", "--group", "a"], key).failed(5);
    assert!(lacks.stderr.starts_with("error: this key lacks the right 'write'"), "{lacks:?}");

    let listed = run(&["keys", "list"], &admin).ok();
    let line = listed.stdout.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line.contains("live") && line.contains("a,b") && line.ends_with("an app"), "{line}");
    assert_eq!(run(&["keys", "list", "--json"], &admin).ok().json()["keys"].as_array().unwrap().len(), 2);

    let revoked = run(&["keys", "revoke", id], &admin).ok();
    assert!(revoked.stderr.contains("an app"), "{revoked:?}");
    let refused = run(&["list", "--group", "a"], key).failed(5);
    assert!(refused.stderr.contains("did not accept the key: this key was revoked"), "{refused:?}");
    let unknown = run(&["keys", "revoke", "unknown"], &admin).failed(3);
    assert!(unknown.stderr.contains("hint: 'memcloud keys list' lists the keys"), "{unknown:?}");
}

#[test]
fn problems_are_reported_by_flag_and_argument() {
    let home = Home::new();
    let server = home.serve();
    let long = "n".repeat(1_025);
    for (args, expected) in [
        (&["keys", "create", " ", "--right", "read", "--space", ""][..], &["NAME: ", "--space: "][..]),
        (&["keys", "create", "k", "--right", "read", "--expires", "2001-01-01"], &["--expires: "]),
        (&["add", " ", "--group", &long, "--producer", &long], &["TEXT: ", "--group: ", "--producer: "]),
        (
            &["search", " ", "--limit", "0", "--filter", "user_id=x"],
            &["QUESTION: ", "--limit: ", "--filter: "],
        ),
        (&["list", "--limit", "0"], &["--limit: "]),
        (&["spaces", "configure", "default", "--description", &long], &["--description: "]),
    ] {
        let ran = home.run(&[args, &["--url", &server.url]].concat()).failed(1);
        assert!(expected.iter().all(|flag| ran.stderr.contains(flag)), "{args:?}: {ran:?}");
        for of_http in ["body", "query.", "GET ", "POST "] {
            assert!(!ran.stderr.contains(of_http), "{args:?}: {ran:?}");
        }
    }
    let unknown = home.run(&["spaces", "show", "nothing", "--url", &server.url]).failed(3);
    assert!(unknown.stderr.contains("hint: 'memcloud spaces list' lists the spaces"), "{unknown:?}");
}

#[test]
fn a_made_key_lets_an_instance_listen_to_the_network() {
    let home = Home::new();
    let mut server = home.serve();
    let url = server.url.clone();
    home.run(&["keys", "create", "root", "--right", "admin", "--url", &url]).ok();
    server.signal("TERM");
    server.ended();
    let mut command = home.memcloud();
    drop(Server::start(command.args(["serve", "--offline", "--listen", "0.0.0.0:0"])));
}
