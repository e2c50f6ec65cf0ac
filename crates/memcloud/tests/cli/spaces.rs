use serde_json::json;

use crate::home::Home;

#[test]
fn spaces_are_listed_shown_configured_and_deleted() {
    let home = Home::new();
    let server = home.serve();
    let run = |args: &[&str]| home.run(&[args, &["--url", &server.url]].concat());
    assert_eq!(run(&["spaces", "list"]).ok().stdout, "");
    for group in ["home", "work/notes"] {
        run(&["add", "hello", "--group", group]).ok();
    }
    let listed = run(&["spaces", "list", "--json"]).ok().json();
    let projects: Vec<_> =
        listed["spaces"].as_array().unwrap().iter().map(|space| &space["project"]).collect();
    assert_eq!(projects, ["home", "work/notes"]);
    assert_eq!(run(&["spaces", "show", "elsewhere"]).code, 3);
    assert_eq!(run(&["spaces", "configure", "home"]).code, 2, "there is nothing to change");

    let changed =
        run(&["spaces", "configure", "home", "--description", "the family", "--learns", "false", "--json"]);
    let changed = changed.ok().json();
    assert_eq!((&changed["description"], &changed["learns"]), (&json!("the family"), &json!(false)));
    assert_eq!(run(&["spaces", "show", "home", "--json"]).ok().json(), changed);

    let refused = run(&["spaces", "delete", "home"]).failed(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    run(&["spaces", "delete", "home", "--yes"]).ok();
    assert_eq!(run(&["list", "--group", "home"]).ok().stdout, "");
    assert!(run(&["list", "--group", "work/notes"]).ok().stdout.contains("hello"));
}
