use serde_json::json;

use crate::home::Home;

fn count(home: &Home, url: &str, group: &str) -> usize {
    let listed = home.run(&["list", "--all", "--json", "--group", group, "--url", url]).ok().json();
    listed["episodes"].as_array().unwrap().len()
}

#[test]
fn importing_twice_stores_once() {
    let home = Home::new();
    let server = home.serve();
    let lines: Vec<String> =
        (0..25).map(|n| format!("{{\"content\":\"message {n}\",\"producer\":\"ann\"}}")).collect();
    let file = home.write("messages.jsonl", &lines.join("\n"));
    let import = ["import", file.to_str().unwrap(), "--batch", "10", "--json", "--url", &server.url];
    let summary = home.run(&import).ok().json();
    assert_eq!((&summary["messages"], &summary["skipped"]), (&json!(25), &json!(0)));
    home.run(&import).ok();
    assert_eq!(count(&home, &server.url, "default"), 25);
}

#[test]
fn bad_lines_are_named_and_nothing_is_imported() {
    let home = Home::new();
    let server = home.serve();
    let file =
        home.write("messages.jsonl", "{\"content\":\"good\"}\nnot json\n{\"content\":\"also good\"}\n");
    let file = file.to_str().unwrap();
    let refused = home.run(&["import", file, "--url", &server.url]).failed(1);
    assert!(refused.stderr.contains("line 2: "), "{refused:?}");
    assert_eq!(count(&home, &server.url, "default"), 0);
    home.run(&["import", file, "--skip-bad", "--url", &server.url]).ok();
    assert_eq!(count(&home, &server.url, "default"), 2);
}

#[test]
fn listed_messages_can_be_imported() {
    let home = Home::new();
    let server = home.serve();
    home.run(&["add", "remember me", "--at", "2024-05-01", "--metadata", "a=1", "--url", &server.url]).ok();
    let mut listed = home.run(&["list", "--json", "--url", &server.url]).ok().json();
    listed["episodes"][0]["group_id"] = "copy".into();
    let file = home.write("listed.jsonl", &listed["episodes"][0].to_string());
    home.run(&["import", file.to_str().unwrap(), "--url", &server.url]).ok();
    let copied = home.run(&["list", "--json", "--group", "copy", "--url", &server.url]).ok().json();
    for key in ["content", "timestamp", "user_metadata", "producer_id"] {
        assert_eq!(copied["episodes"][0][key], listed["episodes"][0][key], "{key}");
    }
}

#[test]
fn a_file_of_another_format_is_refused() {
    let home = Home::new();
    let server = home.serve();
    let import = |path: &str| home.run(&["import", path, "--url", &server.url]);
    import("/nowhere.jsonl").failed(2);
    let list = home.write("list.json", "[1, 2]");
    import(list.to_str().unwrap()).failed(1);
    let binary = home.path("binary");
    std::fs::write(&binary, [b'{', b'\n', 0xff]).unwrap();
    assert!(import(binary.to_str().unwrap()).failed(1).stderr.contains("line 2 is not UTF-8"));
}
