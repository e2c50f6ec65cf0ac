use serde_json::json;

use crate::home::{Home, Server};

#[test]
fn an_added_message_is_found_listed_and_forgotten() {
    let home = Home::new();
    let server = home.serve();
    let run = |args: &[&str]| home.run(&[args, &["--url", &server.url]].concat());

    let added =
        run(&["add", "I moved to Lisbon", "--user", "ann", "--at", "2024-05-01", "--metadata", "mood=fine"])
            .ok();
    let id = added.stdout.trim();
    assert!(id.starts_with("episode-"), "{id}");

    let found = run(&["search", "Who moved to Lisbon?"]).ok();
    assert!(found.stdout.contains("2024-05-01 00:00  ann: I moved to Lisbon"), "{found:?}");
    let found = run(&["search", "Lisbon", "--filter", "metadata.mood=fine", "--json"]).ok().json();
    assert_eq!(found[0]["content"], "I moved to Lisbon");
    assert_eq!(found[0]["user_metadata"], json!({"mood": "fine"}));
    let explained = run(&["search", "Lisbon", "--explain"]).ok();
    assert!(explained.stdout.lines().count() == 2, "{explained:?}");

    let listed = run(&["list"]).ok();
    assert!(listed.stdout.contains(id.strip_prefix("episode-").unwrap()), "{listed:?}");
    assert_eq!(run(&["forget", id]).code, 0);
    assert_eq!(run(&["forget", id]).code, 3);
    assert_eq!(run(&["list", "--json"]).ok().json()["episodes"], json!([]));
}

#[test]
fn nothing_found_has_a_code_of_its_own() {
    let home = Home::new();
    let server = home.serve();
    let ran = home.run(&["search", "anything", "--json", "--url", &server.url]);
    assert_eq!((ran.code, ran.stdout.trim()), (3, "[]"));
}

#[test]
fn groups_and_sessions_are_kept_apart() {
    let home = Home::new();
    let server = home.serve();
    let run = |args: &[&str]| home.run(&[args, &["--url", &server.url]].concat());
    run(&["add", "a red boat", "--group", "one", "--session", "s1"]).ok();
    run(&["add", "a red house", "--group", "one", "--session", "s2"]).ok();
    run(&["add", "a red car", "--group", "two"]).ok();
    assert_eq!(run(&["search", "red", "--group", "one", "--json"]).ok().json().as_array().unwrap().len(), 2);
    let narrow = run(&["search", "red", "--group", "one", "--session", "s2", "--json"]).ok().json();
    assert_eq!(narrow.as_array().unwrap().len(), 1);
    assert_eq!(narrow[0]["content"], "a red house");
}

#[test]
fn text_can_come_from_stdin() {
    let home = Home::new();
    let server = home.serve();
    home.run_with(&["add", "-", "--url", &server.url], "first line\nsecond line\n").ok();
    let listed = home.run(&["list", "--json", "--url", &server.url]).ok().json();
    assert_eq!(listed["episodes"][0]["content"], "first line\nsecond line");
}

#[test]
fn a_session_is_forgotten_only_after_confirmation() {
    let home = Home::new();
    let server = home.serve();
    let run = |args: &[&str]| home.run(&[args, &["--url", &server.url]].concat());
    run(&["add", "keep me", "--session", "s"]).ok();
    let refused = run(&["forget", "--session", "s"]).failed(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(run(&["list", "--json"]).ok().json()["episodes"].as_array().unwrap().len(), 1);
    run(&["forget", "--session", "s", "--yes"]).ok();
    assert_eq!(run(&["forget", "--session", "s", "--yes"]).code, 3);
}

#[test]
fn all_pages_are_listed() {
    let home = Home::new();
    let server = home.serve();
    let lines: Vec<String> = (0..1_203).map(|n| format!("{{\"content\":\"message {n}\"}}")).collect();
    let file = home.write("many.jsonl", &lines.join("\n"));
    home.run(&["import", file.to_str().unwrap(), "--url", &server.url]).ok();
    assert_eq!(home.run(&["list", "--url", &server.url]).ok().stdout.lines().count(), 50);
    assert_eq!(home.run(&["list", "--all", "--url", &server.url]).ok().stdout.lines().count(), 1_203);
}

#[test]
fn a_server_that_is_not_there_has_a_code_of_its_own() {
    let home = Home::new();
    let ran = home.run(&["list", "--url", "http://127.0.0.1:1"]).failed(4);
    assert!(ran.stderr.contains("memcloud up"), "{ran:?}");
    let ran = home.run(&["list", "--json", "--url", "http://127.0.0.1:1"]);
    let error: serde_json::Value = serde_json::from_str(ran.stderr.trim()).unwrap();
    assert_eq!(error["exit"], 4);
}

#[test]
fn a_key_is_shown_and_checked() {
    let home = Home::new();
    let mut command = home.memcloud();
    let server = Server::start(
        command
            .args(["serve", "--offline", "--listen", "127.0.0.1:0"])
            .env("MEMCLOUD_API_KEYS", "right,other"),
    );
    let refused = home.run(&["list", "--url", &server.url]).failed(5);
    assert!(refused.stderr.contains("MEMCLOUD_API_KEY"), "{refused:?}");
    let refused = home.run(&["list", "--url", &server.url, "--key", "wrong"]).failed(5);
    assert!(!refused.stderr.contains("wrong"), "{refused:?}");
    home.run(&["list", "--url", &server.url, "--key", "right"]).ok();
    let file = home.write("key", "other\n");
    let mut command = home.memcloud();
    let ran =
        crate::home::finish(command.args(["list", "--url", &server.url]).env("MEMCLOUD_API_KEY_FILE", file));
    ran.ok();
}

#[test]
fn a_wrong_command_line_changes_nothing_and_says_why() {
    let home = Home::new();
    for args in [
        &["add"][..],
        &["search", "x", "--limit", "many"],
        &["add", "x", "--at", "soon"],
        &["forget", "no-id"],
    ] {
        assert_eq!(home.run(args).code, 2, "{args:?}");
    }
    home.run(&["list", "--url", "ftp://example.com"]).failed(2);
    assert_eq!(home.run(&["--version"]).ok().stdout.trim(), concat!("memcloud ", env!("CARGO_PKG_VERSION")));
    assert!(home.run(&["completions", "bash"]).ok().stdout.contains("memcloud"));
}
