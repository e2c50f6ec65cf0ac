use std::time::Instant;

use serde_json::Value;

use crate::home::{Home, PATIENCE};

fn state<'a>(report: &'a Value, part: &str) -> &'a str {
    let parts = report["parts"].as_array().unwrap();
    parts.iter().find(|found| found["part"] == part).unwrap_or_else(|| panic!("{report}"))["state"]
        .as_str()
        .unwrap()
}

#[test]
fn checks_what_it_can_without_a_server() {
    let home = Home::new();
    let mut command = home.memcloud();
    // The default address is only tried.
    let ran = crate::home::finish(command.args(["doctor", "--json"]));
    assert_eq!(state(&ran.json(), "disk"), "ok");
    assert_eq!(state(&ran.json(), "data"), "skipped");
    drop(home.serve());
    assert_eq!(state(&home.run(&["doctor", "--json"]).json(), "store"), "ok");
}

#[test]
fn tries_a_running_server_end_to_end_and_leaves_nothing_behind() {
    let home = Home::new();
    let server = home.serve();
    let report = home.run(&["doctor", "--json", "--url", &server.url]).ok().json();
    for part in ["data", "disk", "server", "key", "ready", "round trip"] {
        assert_eq!(state(&report, part), "ok", "{report}");
    }
    assert_eq!(state(&report, "store"), "skipped");
    nothing_is_left(&home, &server.url);
    assert!(home.run(&["doctor", "--url", &server.url]).ok().stdout.contains("nothing is broken"));
}

fn nothing_is_left(home: &Home, url: &str) {
    let until = Instant::now() + PATIENCE;
    while home.run(&["spaces", "list", "--url", url]).ok().stdout.contains("memcloud-doctor") {
        assert!(Instant::now() < until, "its space stays");
    }
}

#[test]
fn doctors_run_side_by_side() {
    let home = Home::new();
    let server = home.serve();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let report = home.run(&["doctor", "--json", "--url", &server.url]).ok().json();
                    assert_eq!(state(&report, "round trip"), "ok", "{report}");
                }
            });
        }
    });
    nothing_is_left(&home, &server.url);
}

#[test]
fn names_what_is_broken_and_how_to_fix_it() {
    let home = Home::new();
    let ran = home.run(&["doctor", "--url", "http://127.0.0.1:1"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("failed server") && ran.stdout.contains("hint: "), "{ran:?}");
    let model = home.path("empty");
    std::fs::create_dir(&model).unwrap();
    let ran = home.run(&["doctor", "--json", "--model-dir", model.to_str().unwrap()]);
    assert_eq!((ran.code, state(&ran.json(), "model")), (1, "failed"));
}

#[test]
fn live_asks_the_server_and_nothing_else() {
    let home = Home::new();
    let server = home.serve();
    assert!(home.run(&["doctor", "--live", "--url", &server.url]).ok().stdout.contains("is alive"));
    assert_eq!(home.run(&["doctor", "--live", "--json", "--url", &server.url]).json()["status"], "alive");
    home.run(&["doctor", "--live", "--url", "http://127.0.0.1:1"]).failed(4);
}

#[test]
fn a_doctor_whose_key_lacks_a_right_skips_the_check() {
    let home = Home::new();
    let server = home.serve();
    let run = |args: &[&str], key: &str| home.run(&[args, &["--url", &server.url, "--key", key]].concat());
    let create = |args: &[&str], key: &str| {
        run(&[&["keys", "create", "name"], args].concat(), key).ok().stdout.trim().to_owned()
    };
    let admin = create(&["--right", "admin"], "unknown");
    let reader = create(&["--right", "read"], &admin);
    let limited = create(&["--right", "read", "--right", "write", "--space", "home"], &admin);
    for (key, ready, missing) in
        [(&reader, "ok", "'write'"), (&limited, "ok", "memcloud-doctor"), (&admin, "unchecked", "'write'")]
    {
        let report = run(&["doctor", "--json"], key).ok().json();
        assert_eq!((state(&report, "key"), state(&report, "ready")), ("ok", ready), "{report}");
        assert_eq!(state(&report, "round trip"), "unchecked", "{report}");
        assert!(report.to_string().contains(missing), "{report}");
        let text = run(&["doctor"], key).ok().stdout;
        assert!(text.contains("nothing is broken; ") && text.contains("not checked with this key"), "{text}");
    }
    let unknown = run(&["doctor", "--json"], "unknown").json();
    assert_eq!((state(&unknown, "key"), &unknown["ok"]), ("failed", &false.into()));
}
