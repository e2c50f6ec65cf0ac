use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::home::Home;

/// `up`, with what it says once it is ready.
struct Up {
    child: Child,
    facts: Value,
}

impl Up {
    fn start(home: &Home, listen: &str) -> Self {
        let mut command = home.memcloud();
        command.args(["up", "--offline", "--json", "--instance-listen", listen]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, facts: serde_json::from_str(&line).unwrap() }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn becomes_the_current_instance() {
    let home = Home::new();
    let up = Up::start(&home, "127.0.0.1:0");
    assert_eq!(up.facts["memories"], 0);
    assert!(up.facts["key"].is_null());
    let note = home.path(".local/state/memcloud/current.json");
    assert_eq!(std::fs::metadata(&note).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(&["add", "no address is needed"]).ok();
    home.run(&["search", "address"]).ok();
}

#[test]
fn serves_even_if_its_output_is_closed() {
    let home = Home::new();
    std::fs::create_dir_all(home.path(".local")).unwrap();
    home.write(".local/state", "in the way");
    let up = Up::start(&home, "127.0.0.1:0");
    home.run(&["add", "still works", "--url", up.facts["url"].as_str().unwrap()]).ok();
}

#[test]
fn makes_a_key_once_for_other_machines() {
    let home = Home::new();
    let up = Up::start(&home, "0.0.0.0:0");
    let key = up.facts["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("mc_"));
    home.run(&["list"]).failed(5);
    home.run(&["list", "--key", &key]).ok();
    let kept = std::fs::read_to_string(home.data().join("api-keys")).unwrap();
    assert!(kept.starts_with("sha256:") && !kept.contains(&key));
    drop(up);
    let again = Up::start(&home, "0.0.0.0:0");
    assert!(again.facts["key"].is_null());
    home.run(&["list", "--key", &key]).ok();
}

#[test]
fn prints_commands_that_work() {
    let home = Home::new();
    let mut command = home.memcloud();
    command.args(["up", "--offline", "--instance-listen", "127.0.0.1:0"]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut printed = String::new();
    let mut stdout = child.stdout.take().unwrap();
    let mut chunk = [0; 4096];
    while !printed.contains("Ctrl-C") {
        let read = stdout.read(&mut chunk).unwrap();
        assert!(read > 0, "{printed}");
        printed.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    let requests: Vec<(&str, Value)> = printed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("curl -s "))
        .map(|line| {
            (line.split(' ').next().unwrap(), serde_json::from_str(line.split('\'').nth(3).unwrap()).unwrap())
        })
        .collect();
    let [(store, message), (search, question)] = &requests[..] else { panic!("{printed}") };
    let url = store.strip_suffix("/v1/memories").unwrap();
    assert!(search.starts_with(url));
    home.run(&["add", message["episode_content"].as_str().unwrap(), "--user", "ann", "--url", url]).ok();
    home.run(&["search", question["query"].as_str().unwrap(), "--url", url]).ok();
    let _ = child.kill();
    let _ = child.wait();
}
