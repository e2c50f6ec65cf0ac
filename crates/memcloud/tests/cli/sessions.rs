use serde_json::json;

use crate::home::Home;

#[test]
fn sessions_are_listed_and_deleted() {
    let home = Home::new();
    let server = home.serve();
    let run = |args: &[&str]| home.run(&[args, &["--url", &server.url]].concat());
    assert_eq!(run(&["sessions", "list"]).ok().stdout, "");
    for (group, session, user) in [("home", "old", "ann"), ("home", "new", "bob"), ("work", "old", "ann")] {
        run(&["add", "hello", "--group", group, "--session", session, "--user", user]).ok();
    }
    let listed = |flags: &[&str]| run(&[&["sessions", "list"], flags].concat()).ok().stdout;
    assert_eq!(listed(&["--group", "home"]).lines().count(), 2);
    assert!(listed(&["--user", "bob"]).starts_with("home/new  bob"));
    assert_eq!(run(&["sessions", "list", "--user", "a", "--agent", "b"]).code, 2, "one kind at once");
    let of_home: &[&str] = &["sessions", "delete", "old", "--group", "home"];
    assert!(run(of_home).failed(2).stderr.contains("--yes"));
    assert_eq!(run(&["sessions", "delete", "old", "--yes"]).code, 2, "the group must be named");
    let deleted = run(&[of_home, &["--yes", "--json"]].concat()).ok().json();
    assert_eq!(deleted, json!({"deleted": 1}));
    assert_eq!(run(&[of_home, &["--yes"]].concat()).code, 3);
    let names: Vec<String> =
        listed(&[]).lines().map(|line| line.split("  ").next().unwrap().into()).collect();
    assert_eq!(names, ["home/new", "work/old"]);
}

#[test]
fn a_user_is_deleted() {
    let home = Home::new();
    let server = home.serve();
    let run = |args: &[&str]| home.run(&[args, &["--url", &server.url]].concat());
    for user in ["ann", "bob"] {
        run(&["add", &format!("hello from {user}"), "--group", "home", "--user", user]).ok();
    }
    let of_home: &[&str] = &["users", "delete", "ann", "--group", "home"];
    assert!(run(of_home).failed(2).stderr.contains("--yes"));
    let deleted = run(&[of_home, &["--yes"]].concat()).ok();
    assert!(deleted.stderr.contains("deleted, with 1 messages"), "{deleted:?}");
    assert_eq!(run(&[of_home, &["--yes"]].concat()).code, 3);
    let listed = run(&["list", "--group", "home"]).ok().stdout;
    assert!(listed.contains("hello from bob") && !listed.contains("ann"), "{listed}");
    assert!(!run(&["sessions", "list"]).ok().stdout.contains("ann"));
}
