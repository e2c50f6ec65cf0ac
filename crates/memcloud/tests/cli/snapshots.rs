//! What a person sees: help, errors, a search, the doctor. `INSTA_UPDATE=always cargo test -p memcloud` accepts changes.

use crate::home::{Home, Ran};

/// What differs from run to run, and what is shown in its place.
const CHANGING: [(&str, &str); 5] = [
    (r"(127\.0\.0\.1|0\.0\.0\.0):\d{5}", "$1:PORT"),
    (r"\S*/\.tmp\w+", "HOME"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?Z?", "TIME"),
    (r"\d+\.\d GB free on the disk of \S+", "SIZE GB free on the disk of PLACE"),
];

/// Everything that a command left.
fn shown(ran: &Ran) -> String {
    format!("exit code {}\n--- stdout\n{}--- stderr\n{}", ran.code, ran.stdout, ran.stderr)
}

#[track_caller]
fn check(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    for (pattern, replacement) in CHANGING {
        settings.add_filter(pattern, replacement);
    }
    settings.bind(|| insta::assert_snapshot!(name, shown(ran)));
}

#[test]
fn help() {
    let home = Home::new();
    check("help", &home.run(&["--help"]));
    check("help_of_search", &home.run(&["search", "--help"]));
    check("help_of_spaces", &home.run(&["spaces", "--help"]));
}

#[test]
fn errors() {
    let home = Home::new();
    check("unknown_flag", &home.run(&["search", "key", "--nowhere"]));
    check("missing_argument", &home.run(&["add"]));
    check("unreachable", &home.run(&["search", "key", "--url", "http://127.0.0.1:1"]));
    check("unreachable_as_json", &home.run(&["--json", "search", "key", "--url", "http://127.0.0.1:1"]));
    check("exposed_without_a_key", &home.run(&["serve", "--offline", "--listen", "0.0.0.0:0"]));
    let server = home.serve();
    check("refused_by_the_server", &home.run(&["add", " ", "--url", &server.url]));
}

#[test]
fn a_search() {
    let home = Home::new();
    let server = home.serve();
    for (user, text) in [("ann", "The spare key is under the blue pot."), ("bob", "On Sundays I bake bread.")]
    {
        let stored =
            home.run(&["add", text, "--user", user, "--at", "2024-05-06T07:08:09Z", "--url", &server.url]);
        check("stored", &stored.ok());
    }
    check(
        "search",
        &home.run(&["search", "Where is the key?", "-n", "1", "--explain", "--url", &server.url]),
    );
    check("nothing_found", &home.run(&["search", "submarine", "--group", "empty", "--url", &server.url]));
    check("list", &home.run(&["list", "--url", &server.url]));
    let description = ["spaces", "configure", "default", "--description", "the family", "--url", &server.url];
    check("space", &home.run(&description));
    check("spaces", &home.run(&["spaces", "list", "--url", &server.url]));
}

#[test]
fn the_doctor() {
    let home = Home::new();
    let server = home.serve();
    check("doctor", &home.run(&["doctor", "--offline", "--url", &server.url]));
}
