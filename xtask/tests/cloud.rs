//! `cargo xtask cloud` as a process.
#![expect(clippy::disallowed_methods, reason = "a test waits for another process")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How many processes have this folder in their command line or environment.
fn processes(folder: &Path) -> usize {
    let text = folder.display().to_string();
    let names = |entry: &std::fs::DirEntry| {
        ["cmdline", "environ"].iter().any(|file| {
            let found = std::fs::read(entry.path().join(file)).unwrap_or_default();
            String::from_utf8_lossy(&found).contains(&text)
        })
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(names).count()
}

/// Sends a request with this token, and answers the status and the body.
fn ask(base: &str, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(base.trim_start_matches("http://")).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nmetadata-flavor: Google\r\n\
         authorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn fault_a_cloud_prints_its_settings_and_leaves_nothing_when_it_is_interrupted() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    // The program of the image is not run here.
    command.args(["cloud", "--seed", "5", "--faults", "none", "--server", "/bin/true"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    assert!(lines.iter().all(|line| line.starts_with("export ")), "{lines:?}");
    let setting = |name: &str| {
        let before = format!("export {name}='");
        let found = lines.iter().find_map(|line| line.strip_prefix(&before)?.strip_suffix('\''));
        found.unwrap_or_else(|| panic!("{name} is not in {lines:?}")).to_owned()
    };
    assert_eq!(setting("GOOGLE_CLOUD_PROJECT"), "memcloud-fake");
    let base = setting("MEMCLOUD_GOOGLE_ENDPOINT");
    let token = "/computeMetadata/v1/instance/service-accounts/default/token";
    let (_, token) = ask(&base, "GET", token, "", "");
    let token = token["access_token"].as_str().unwrap();
    let enable = "/serviceusage.googleapis.com/v1/projects/memcloud-fake/services:batchEnable";
    let (_, operation) = ask(&base, "POST", enable, token, r#"{"serviceIds": ["sqladmin.googleapis.com"]}"#);
    let operation = format!("/serviceusage.googleapis.com/v1/{}", operation["name"].as_str().unwrap());
    assert_eq!(ask(&base, "GET", &operation, token, "").1["done"], true);
    let instances = "/sqladmin.googleapis.com/v1/projects/memcloud-fake/instances";
    let body = r#"{"name": "one", "region": "us-central1", "databaseVersion": "POSTGRES_16", "rootPassword": "x",
        "settings": {"edition": "ENTERPRISE", "tier": "db-f1-micro"}}"#;
    assert_eq!(ask(&base, "POST", instances, token, body).0, 200);
    loop {
        let (_, instance) = ask(&base, "GET", &format!("{instances}/one"), token, "");
        if instance["state"] != "PENDING_CREATE" {
            assert_eq!(instance["state"], "RUNNABLE");
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let root = PathBuf::from(setting("GOOGLE_APPLICATION_CREDENTIALS")).parent().unwrap().to_owned();
    let sockets = std::fs::read_link(root.join("cloudsql/memcloud-fake:us-central1:one")).unwrap();
    // The folder of the PostgreSQL, of which the sockets are two levels down.
    let database = sockets.ancestors().nth(2).unwrap().to_owned();
    assert!(processes(&database) > 0);

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
    for folder in [root, database] {
        assert!(!folder.exists());
        assert_eq!(processes(&folder), 0);
    }
}
