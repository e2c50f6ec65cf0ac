//! What is printed, on a terminal or in a pipe: nothing that steers a terminal, hides text or forges a line, from any author.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use memcloud_domain::is_invisible;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use crate::answers::http;
use crate::home::Home;
use crate::up::Up;

/// A title, a cleared screen, colors, C1, DEL, overrides, line separators, zero width, tags.
const HOSTILE: &str =
    "seen \u{1b}]0;PWNED\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{8}\r\u{202e}\u{2028}\u{200b}\u{e0041} end";

/// What a command prints when its three streams are a terminal.
fn on_terminal(command: &mut Command) -> String {
    with_typed("", command)
}

/// What a command prints on a terminal on which someone types this.
fn with_typed(typed: &str, command: &mut Command) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(OsStr::from_bytes(name.to_bytes())).unwrap();
    let end = || terminal.try_clone().unwrap();
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    drop(terminal);
    let (mut master, mut printed) = (File::from(master), Vec::new());
    master.write_all(typed.as_bytes()).unwrap();
    // The terminal reports an error when its last user has gone.
    let _ = master.read_to_end(&mut printed);
    child.wait().unwrap();
    String::from_utf8(printed).unwrap().replace("\r\n", "\n")
}

/// Runs a command on a terminal without colors, and checks that nothing invisible reaches it.
#[track_caller]
fn shown(home: &Home, args: &[&str]) -> String {
    visible_only(args, on_terminal(home.memcloud().args(args).env("NO_COLOR", "1")))
}

/// Runs a command whose output a program reads, and checks that nothing invisible is in it.
#[track_caller]
fn piped(home: &Home, args: &[&str]) -> String {
    visible_only(args, home.run(args).ok().stdout)
}

#[track_caller]
fn visible_only(args: &[&str], printed: String) -> String {
    let raw: Vec<char> = printed.chars().filter(|c| is_invisible(*c)).collect();
    assert!(raw.is_empty(), "{args:?}: {raw:?} in {printed:?}");
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_text_cannot_steer_the_terminal() {
    let home = Home::new();
    let server = home.serve();
    let session = json!({"group_id": "g", "session_id": HOSTILE, "user_id": [HOSTILE]});
    let message = json!({"session": session, "producer": HOSTILE, "episode_content": HOSTILE});
    let stored = http().post(format!("{}/v1/memories", server.url)).json(&message).send().await.unwrap();
    assert_eq!(stored.status(), 200);
    let space = json!({"description": HOSTILE});
    let space =
        http().patch(format!("{}/v1/spaces/universal/g", server.url)).json(&space).send().await.unwrap();
    assert_eq!(space.status(), 200);
    for args in [
        &["list", "--group", "g"][..],
        &["search", "seen", "--explain", "--group", "g"],
        &["spaces", "list"],
        &["sessions", "list"],
    ] {
        let text = [args, &["--url", &server.url]].concat();
        for text in [shown(&home, &text), piped(&home, &text)] {
            assert!(text.contains("seen \\u{1b}]0;PWNED\\u{7}") && text.contains("\\u{e0041} end"), "{text}");
        }
        let json = [args, &["--json", "--url", &server.url]].concat();
        for json in [shown(&home, &json), piped(&home, &json)] {
            assert!(json.contains("\\u202e") && json.contains("\\udb40\\udc41 end"), "{json}");
            assert!(serde_json::from_str::<Value>(&json).unwrap().to_string().contains('\u{202e}'));
        }
    }
    let colored = on_terminal(
        home.memcloud().args(["list", "--group", "g", "--url", &server.url]).env("TERM", "xterm"),
    );
    assert_eq!(colored.matches("\u{1b}[2m").count(), 1, "only its own colors: {colored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_several_lines_cannot_forge_a_line() {
    let home = Home::new();
    let server = home.serve();
    let text = "seen\n019ab3c2-0000  2026-01-01 00:00  ann: forged\r\n 9.999  2026-01-01 00:00  ann: forged\
                \ra\u{b}b\u{c}c\u{85}d\u{2028}e\u{2029}f";
    let message =
        json!({"session": {"group_id": "g", "user_id": ["u"]}, "producer": "u", "episode_content": text});
    let stored = http().post(format!("{}/v1/memories", server.url)).json(&message).send().await.unwrap();
    assert_eq!(stored.status(), 200);
    for args in [&["list", "--group", "g"][..], &["search", "seen", "--group", "g"]] {
        let args = [args, &["--url", &server.url]].concat();
        for printed in [shown(&home, &args), home.run(&args).ok().stdout] {
            let lines: Vec<&str> = printed.lines().collect();
            let [first, second, third] = lines[..] else { panic!("{printed:?}") };
            assert!(first.ends_with("u: seen"), "{printed:?}");
            assert_eq!(second, "  | 019ab3c2-0000  2026-01-01 00:00  ann: forged");
            assert_eq!(
                third,
                "  |  9.999  2026-01-01 00:00  ann: forged\\u{d}a\\u{b}b\\u{c}c\\u{85}d\\u{2028}e\\u{2029}f"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_cannot_forge_a_line() {
    let home = Home::new();
    let server = home.serve();
    let name = "evil\nroot\ttab";
    let session = json!({"group_id": name, "session_id": name, "user_id": [name]});
    let message = json!({"session": session, "producer": name, "episode_content": "seen"});
    let stored = http().post(format!("{}/v1/memories", server.url)).json(&message).send().await.unwrap();
    assert_eq!(stored.status(), 200);
    for args in [
        &["list", "--group", name][..],
        &["search", "seen", "--explain", "--group", name],
        &["sessions", "list"],
        &["spaces", "list"],
        &["spaces", "show", name],
        &["forget", "--session", name, "--group", name],
        &["sessions", "delete", name, "--group", name],
        &["users", "delete", name, "--group", name],
        &["spaces", "delete", name],
    ] {
        let args = [args, &["--url", &server.url]].concat();
        let asks = args.contains(&"delete") || args[0] == "forget";
        let mut command = home.memcloud();
        let printed = if asks { with_typed("n\n", command.args(&args)) } else { home.run(&args).ok().stdout };
        assert!(printed.contains("evil\\nroot\\ttab"), "{args:?}: {printed}");
        assert!(!printed.contains("\nroot"), "{args:?}: {printed}");
    }
}

/// Words that forge lines of the program.
const FORGING: &str = "seen\nerror: forged\r\nhint: forged\u{85}\tend";

#[test]
fn what_a_server_says_cannot_forge_a_line() {
    let (home, url) = (Home::new(), hostile_server());
    for args in
        [&["list"][..], &["forget", "--session", "s"], &["chat", "x", "--explain"], &["doctor", "--offline"]]
    {
        let ran = home.run(&[args, &["--url", &url]].concat());
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(printed.contains("\\nerror: forged"), "{args:?}: {ran:?}");
        assert!(
            !printed.contains("\nerror: forged") && !printed.contains("\nhint: forged"),
            "{args:?}: {ran:?}"
        );
    }
}

#[test]
fn typed_text_cannot_forge_a_line() {
    let home = Home::new();
    let flag = format!("--{FORGING}");
    for args in [
        &["list", &flag][..],
        &[FORGING],
        &["list", FORGING],
        &["list", "--limit", FORGING],
        &["list", "--url", FORGING],
        &["completions", FORGING],
        &["serve", "--listen", FORGING],
        &["list", "--config", FORGING],
    ] {
        let ran = home.run(args).failed(2);
        assert!(ran.stderr.contains("seen\\nerror: forged"), "{args:?}: {ran:?}");
        assert!(
            !ran.stderr.contains("\nerror: forged") && !ran.stderr.contains("\nhint: forged"),
            "{args:?}: {ran:?}"
        );
    }
}

/// A server that refuses everything with these words, or chats with them.
fn hostile_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {
                let line = head.lines().last().unwrap_or_default().to_lowercase();
                length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
            }
            let _ = reader.read_exact(&mut vec![0; length]);
            let (status, kind, body) = answer(&head);
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = reader.get_mut().write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

fn answer(head: &str) -> (&'static str, &'static str, String) {
    if !head.starts_with("POST /v1/chat ") {
        return (
            "418 no",
            "application/json",
            json!({"detail": format!("{HOSTILE}{FORGING}"), "code": HOSTILE, "hint": format!("{HOSTILE}{FORGING}")}).to_string(),
        );
    }
    let memory = json!({"uid": HOSTILE, "score": 1, "content": HOSTILE, "producer": HOSTILE,
        "timestamp": "\nerror: forged", "session_id": HOSTILE});
    let memories = json!({"memories": [memory], "profile": [], "context_tokens": 1});
    let events = [
        ("memories", memories),
        ("delta", json!({"content": HOSTILE})),
        ("error", json!({"detail": format!("{HOSTILE}{FORGING}"), "code": "x", "hint": HOSTILE})),
    ];
    let events = events.map(|(name, data)| format!("event: {name}\ndata: {data}\n\n"));
    ("200 ok", "text/event-stream", events.concat())
}

#[test]
fn a_server_cannot_steer_the_terminal() {
    let (home, url) = (Home::new(), hostile_server());
    for args in [
        &["list"][..],
        &["search", "x"],
        &["add", "x"],
        &["forget", "--session", "s"],
        &["keys", "list"],
        &["spaces", "delete", "home"],
        &["chat", "x", "--explain"],
        &["doctor", "--offline"],
    ] {
        for json in [&[][..], &["--json"]] {
            let printed = shown(&home, &[args, json, &["--url", &url]].concat());
            assert!(printed.contains("PWNED"), "{args:?}: {printed}");
        }
        let piped = home.run(&[args, &["--url", &url]].concat());
        assert!(!piped.stderr.contains(is_invisible), "{args:?}: {piped:?}");
    }
}

/// What is left on the screen of a terminal, as wide as is assumed of one that does not say it.
fn screen(printed: &str) -> Vec<String> {
    const COLUMNS: usize = 80;
    let mut rows: Vec<String> = Vec::new();
    let (mut row, mut column) = (0, 0);
    let mut rest = printed;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\r' => column = 0,
            '\n' => (row, column) = (row + 1, 0),
            '\u{1b}' => {
                let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                let count = || rest[1..end].parse::<usize>().unwrap();
                match &rest[end..=end] {
                    "A" => row -= count(),
                    "B" => row += count(),
                    "K" => rows[row].clear(),
                    other => assert_eq!(other, "m", "it is not known: {rest:?}"),
                }
                rest = &rest[end + 1..];
            }
            _ => {
                if column == COLUMNS {
                    (row, column) = (row + 1, 0);
                }
                rows.resize(rows.len().max(row + 1), String::new());
                let mut chars: Vec<char> = rows[row].chars().collect();
                chars.resize(chars.len().max(column + 1), ' ');
                chars[column] = c;
                rows[row] = chars.into_iter().collect();
                column += 1;
            }
        }
    }
    rows.into_iter().map(|row| row.trim_end().to_owned()).collect()
}

#[test]
fn the_steps_of_an_operation_are_a_list_that_is_redrawn_in_place() {
    let home = Home::new();
    let _up = Up::start(&home);
    let create = |args: &[&str]| {
        let mut command = home.memcloud();
        command.args(["instances", "create"]).args(args).env("TERM", "xterm").env("NO_COLOR", "1");
        on_terminal(&mut command)
    };
    let drawn = create(&["team"]);
    assert!(drawn.contains("· verify it"), "it waited at first: {drawn:?}");
    let left = screen(&drawn);
    let steps =
        ["reserve an address", "make the folder", "start the process", "wait until it is ready", "verify it"];
    for (step, line) in steps.iter().zip(&left) {
        let took = line.strip_prefix(&format!("✓ {step}  ")).and_then(|rest| rest.strip_suffix(" s"));
        assert!(took.is_some_and(|seconds| seconds.parse::<f64>().is_ok()), "{left:#?}");
    }
    assert!(left[steps.len()].starts_with("team ") && left[steps.len()].contains("running"), "{left:#?}");

    let password = home.write("password", "open-sesame\n");
    let left = screen(&create(&[
        "graph",
        "--neo4j",
        "bolt://127.0.0.1:1",
        "--neo4j-password-file",
        password.to_str().unwrap(),
    ]));
    for line in [
        "↶ reserve an address",
        "✗ try the connections  bolt://127.0.0.1:1",
        "· verify it",
        "error: the operation 'create' failed: ",
    ] {
        assert!(left.iter().any(|left| left.starts_with(line)), "{line}: {left:#?}");
    }
}

#[test]
fn typed_text_cannot_steer_the_terminal() {
    let home = Home::new();
    let flag = format!("--{HOSTILE}");
    for args in [&["list", &flag][..], &[HOSTILE], &["list", "--url", HOSTILE], &["completions", HOSTILE]] {
        assert!(shown(&home, args).contains("seen"));
        let piped = home.run(args).stderr;
        assert!(!piped.contains(is_invisible), "{piped:?}");
    }
    assert!(shown(&home, &["--help"]).contains("Usage:"));
}

#[test]
fn an_address_is_shown_without_its_password() {
    let home = Home::new();
    for url in [
        "http://ann:hunter2@127.0.0.1:1",
        "ftp://ann:hunter2@x",
        "http://ann:hunt/er2@127.0.0.1:1",
        "http://ann:hunt'er2@127.0.0.1:1",
        "ann:hunter2@127.0.0.1:1",
        "//ann:hunter2@127.0.0.1:1",
        "http://127.0.0.1:1/?api_key=hunter2",
        "127.0.0.1:1?api_key=hunter2",
    ] {
        for command in
            [&["list"][..], &["list", "--json"], &["doctor", "--offline"], &["doctor", "--offline", "--json"]]
        {
            let ran = home.run(&[command, &["--url", url]].concat());
            let printed = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!printed.contains("hunt") && !printed.contains("er2"), "{command:?}: {printed}");
        }
    }
    let config = home.write("config.toml", "threads = 2\nopenai_api_key = hunter2\n");
    let ran = home.run(&["list", "--config", config.to_str().unwrap()]).failed(2);
    assert!(ran.stderr.contains("line 2") && !ran.stderr.contains("hunter2"), "{ran:?}");
}
