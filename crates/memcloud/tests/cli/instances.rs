//! The commands for a console, against a real one.

use std::fs::{OpenOptions, metadata};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::home::{Home, Ran, finish};
use crate::up::{Up, until};

#[test]
fn an_instance_is_made_used_stopped_started_and_removed() {
    let home = Home::new();
    let _up = Up::start(&home);
    let created = home.run(&["instances", "create", "team"]).ok();
    assert!(created.stdout.starts_with("team ") && created.stdout.contains("running"), "{created:?}");
    for step in ["done   start the process", "done   verify it"] {
        assert!(created.stderr.contains(step), "a line for each step: {created:?}");
    }
    home.run(&["add", "the team meets on Mondays", "--instance", "team"]).ok();
    home.run(&["search", "Mondays", "--instance", "team"]).ok();
    assert_eq!(home.run(&["search", "Mondays"]).code, 3, "the first instance has memories of its own");
    let stopped = home.run(&["instances", "stop", "team", "--json"]).ok().json();
    assert_eq!(
        (&stopped["instance"]["state"], &stopped["operation"]["state"]),
        (&"stopped".into(), &"succeeded".into())
    );
    home.run(&["search", "Mondays", "--instance", "team"]).failed(4);
    home.run(&["instances", "start", "team"]).ok();
    home.run(&["search", "Mondays", "--instance", "team"]).ok();
    home.run(&["instances", "restart", "team"]).ok();
    let listed = home.run(&["instances", "list"]).ok();
    let names: Vec<_> = listed.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["default", "team"]);
    let logged = home.run(&["instances", "logs", "team"]).ok();
    assert!(logged.stdout.contains("listening on"), "{logged:?}");
    let removed = home.run(&["instances", "delete", "team", "--confirm", "team", "--json"]).ok().json();
    assert_eq!(removed["instance"]["state"], "removed");
    assert_eq!(
        home.run(&["instances", "list", "--json"]).ok().json()["instances"].as_array().unwrap().len(),
        1
    );
    assert!(home.run(&["leftovers"]).ok().stdout.contains("'team' was deleted, and its data were kept"));
}

#[test]
fn what_was_seen_of_an_instance_is_shown() {
    let home = Home::new();
    let _up = Up::start(&home);
    let verified = home.run(&["verify", "default"]).ok();
    for line in ["memory_working    yes", "persistence       yes", "chat_enabled      not checked"] {
        assert!(verified.stdout.contains(line), "{verified:?}");
    }
    let shown = home.run(&["instances", "show", "default", "--json"]).ok().json();
    let evidence = shown["capabilities"][0]["evidence"].as_array().unwrap();
    assert!(evidence.iter().all(|seen| seen["outcome"] == "passed" && seen["sent"] != ""), "{shown}");
}

#[test]
fn an_operation_can_be_left_to_itself_and_looked_at() {
    let home = Home::new();
    let _up = Up::start(&home);
    let begun = home.run(&["instances", "create", "later", "--no-wait", "--json"]).ok().json();
    let id = begun["operation"]["id"].as_str().unwrap();
    crate::up::until(|| home.run(&["operations", "show", id, "--json"]).ok().json()["state"] == "succeeded");
    let shown = home.run(&["operations", "show", id]).ok();
    assert!(shown.stdout.contains("create") && shown.stdout.contains("verify it"), "{shown:?}");
    let listed = home.run(&["operations", "list", "later"]).ok();
    assert!(listed.stdout.starts_with(id), "{listed:?}");
    let unknown = home.run(&["operations", "show", "nothing"]).failed(3);
    assert!(unknown.stderr.contains("'memcloud operations list'"), "{unknown:?}");
    let ended = home.run(&["operations", "cancel", id]);
    assert_eq!(ended.code, 1, "it has ended: {ended:?}");
}

#[test]
fn a_failed_operation_exits_with_its_reason_and_leaves_nothing() {
    let home = Home::new();
    let up = Up::start(&home);
    let password = home.write("password", "planted-password\n");
    let before = up.processes();
    let create = ["instances", "create", "graph", "--neo4j", "bolt://127.0.0.1:1", "--neo4j-password-file"];
    let failed = home.run(&[&create[..], &[password.to_str().unwrap()]].concat()).failed(1);
    assert!(failed.stderr.contains("error: the operation 'create' failed: "), "{failed:?}");
    assert!(
        failed.stderr.contains("127.0.0.1:1") && failed.stderr.contains("failed try the connections"),
        "{failed:?}"
    );
    let json = home.run(&[&create[..], &[password.to_str().unwrap(), "--json"]].concat());
    assert_eq!((json.code, &json.json()["operation"]["state"]), (1, &Value::from("failed")));
    for said in [&failed.stdout, &failed.stderr, &json.stdout, &json.stderr] {
        assert!(!said.contains("planted-password"), "{said}");
    }
    assert!(!failed.stderr.contains("undone try the connections"), "that it failed says more: {failed:?}");
    assert_eq!(up.processes(), before);
}

#[test]
fn names_are_explained() {
    let home = Home::new();
    let _up = Up::start(&home);
    let unknown = home.run(&["instances", "stop", "nothing"]).failed(3);
    assert!(
        unknown.stderr.contains("there is no instance 'nothing'\nhint: there are: default"),
        "{unknown:?}"
    );
    home.run(&["search", "x", "--instance", "nothing"]).failed(3);
    let wrong = home.run(&["instances", "create", "Not_A_Name"]).failed(1);
    assert!(wrong.stderr.starts_with("error: NAME: "), "{wrong:?}");
    let taken = home.run(&["instances", "create", "default"]).failed(1);
    assert!(taken.stderr.contains("taken"), "{taken:?}");
    home.run(&["users", "delete", "unknown", "--yes"]).failed(3);
}

#[test]
fn nothing_is_removed_without_its_name() {
    let home = Home::new();
    let up = Up::start(&home);
    for args in
        [&["instances", "delete", "default"][..], &["instances", "delete", "default", "--confirm", "other"]]
    {
        home.run(args).failed(2);
    }
    assert_eq!(up.processes().len(), 1);
}

#[test]
fn the_plan_of_an_instance_makes_nothing() {
    let home = Home::new();
    let _up = Up::start(&home);
    let plan = home.run(&["plan", "team"]).ok();
    assert!(plan.stdout.contains("start the process") && plan.stderr.contains("0.00 US dollars"), "{plan:?}");
    assert_eq!(home.run(&["instances", "list"]).ok().stdout.lines().count(), 1);
}

#[test]
fn keys_of_an_instance_are_made_listed_and_revoked_with_overlap() {
    let home = Home::new();
    let up = Up::start(&home);
    home.run(&["instances", "create", "team"]).ok();
    let url =
        home.run(&["instances", "show", "team", "--json"]).ok().json()["url"].as_str().unwrap().to_owned();
    home.run(&["list", "--url", &url]).failed(5);
    let create = ["instances", "keys", "create", "team", "an app", "--right", "read"];
    let created = home.run(&[&create[..], &["--json"]].concat()).ok().json();
    let (id, key) = (created["id"].as_str().unwrap(), created["key"].as_str().unwrap());
    home.run(&["list", "--url", &url, "--key", key]).ok();
    let listed = home.run(&["instances", "keys", "list", "team"]).ok();
    assert!(listed.stdout.contains(id) && !listed.stdout.contains(key), "{listed:?}");
    home.run(&["instances", "keys", "revoke", "team", id, "--at", "1h"]).ok();
    home.run(&["list", "--url", &url, "--key", key]).ok();
    home.run(&["instances", "keys", "revoke", "team", id]).ok();
    home.run(&["list", "--url", &url, "--key", key]).failed(5);
    drop(up);
}

#[test]
fn users_and_tokens_are_managed() {
    let home = Home::new();
    let up = Up::start(&home);
    let password = home.write("password", "correct horse battery\n");
    let create =
        ["users", "create", "bob", "--role", "viewer", "--password-file", password.to_str().unwrap()];
    home.run(&create).ok();
    assert!(home.run(&["users", "list"]).ok().stdout.contains("bob"));
    home.run(&["users", "change", "bob", "--role", "member"]).ok();
    assert!(home.run(&["users", "link", "bob"]).ok().stdout.starts_with(up.console()));
    home.run(&["users", "delete", "bob", "--yes"]).ok();
    let token = home.run(&["tokens", "create", "watcher", "--scope", "read", "--expires", "1d"]).ok();
    let with = |args: &[&str]| -> Ran {
        finish(home.memcloud().args(args).env("MEMCLOUD_TOKEN", token.stdout.trim()))
    };
    with(&["instances", "list"]).ok();
    with(&["instances", "create", "not-allowed"]).failed(5);
    let tokens = home.run(&["tokens", "list", "--json"]).ok().json();
    let id =
        tokens["tokens"].as_array().unwrap().iter().find(|token| token["name"] == "watcher").unwrap()["id"]
            .clone();
    home.run(&["tokens", "revoke", id.as_str().unwrap()]).ok();
    let refused = with(&["instances", "list"]).failed(5);
    assert!(refused.stderr.contains("the console did not accept the token"), "{refused:?}");
    let audit = home.run(&["audit", "-n", "3"]).ok();
    assert!(audit.stdout.contains("owner  from 127.0.0.1  revoke token"), "{audit:?}");
    assert_eq!(audit.stdout.lines().count(), 3);
}

#[test]
fn a_console_that_is_not_there_is_said_to_be_so() {
    let home = Home::new();
    let gone = home.run(&["instances", "list", "--console", "http://127.0.0.1:1"]).failed(4);
    assert!(gone.stderr.contains("memcloud up") && gone.stderr.contains("--console"), "{gone:?}");
}

#[test]
fn the_kept_token_is_sent_to_its_own_console_alone() {
    let (home, other) = (Home::new(), Home::new());
    let (_up, other_up) = (Up::start(&home), Up::start(&other));
    let refused = home.run(&["instances", "list", "--console", other_up.console()]).failed(5);
    assert!(refused.stderr.contains("MEMCLOUD_TOKEN"), "{refused:?}");
}

#[test]
fn a_log_is_bounded_while_its_instance_runs_and_is_followed_beyond_that() {
    let home = Home::new();
    let up = Up::start(&home);
    let id = up.facts["instance"]["id"].as_str().unwrap();
    let log = home.data().join("console/instances").join(id).join("log");
    let mut follow = home.memcloud();
    follow.args(["instances", "logs", "default", "--follow"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut follow = follow.spawn().unwrap();
    let mut followed = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
    followed.find(|line| line.contains("listening on")).expect("it begins with what is there");
    // What a process has logged after months.
    let mut months = OpenOptions::new().append(true).open(&log).unwrap();
    let line = "x".repeat(63 << 10) + "\n";
    for _ in 0..270 {
        months.write_all(line.as_bytes()).unwrap();
    }
    home.run(&["list", "--key", "planted-wrong-key", "--url", up.url()]);
    until(|| {
        home.run(&["add", "one more line", "--url", up.url()]).ok();
        metadata(&log).unwrap().len() < 1 << 20
    });
    assert!(metadata(log.with_extension("1")).unwrap().len() > 16 << 20);
    followed.find(|line| line.contains("/v1/memories")).expect("it goes on in the log that began again");
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn the_doctor_examines_the_console_and_its_instances_now() {
    let home = Home::new();
    let mut up = Up::start(&home);
    let report = home.run(&["doctor", "--offline"]);
    for line in ["ok     console    sealing key: ok", "ok     instance   default: ok"] {
        assert!(report.stdout.contains(line), "{report:?}");
    }
    up.stop();
    assert!(!home.run(&["doctor", "--offline"]).stdout.contains("failed console"), "none has to run");
}

#[test]
fn another_organization_changes_its_password_and_sees_no_instance() {
    let home = Home::new();
    let up = Up::start(&home);
    let link = home.run(&["organizations", "create", "carol"]).ok().stdout;
    assert!(link.starts_with(up.console()), "{link}");
    let (old, new) =
        (home.write("old", "correct horse battery\n"), home.write("new", "another horse battery\n"));
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    home.run(&["users", "create", "bob", "--role", "viewer", "--password-file", old]).ok();
    let change = ["users", "password", "--current-password-file", old, "--password-file", new];
    let not_mine = home.run(&change).failed(5);
    assert!(not_mine.stderr.contains("password is wrong"), "the owner has none: {not_mine:?}");
}
