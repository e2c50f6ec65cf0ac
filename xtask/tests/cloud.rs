//! `cargo xtask cloud` as a process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// How many processes have this text in their command line or environment.
fn processes(text: &str) -> usize {
    let names = |entry: &std::fs::DirEntry| {
        ["cmdline", "environ"].iter().any(|file| {
            let found = std::fs::read(entry.path().join(file)).unwrap_or_default();
            String::from_utf8_lossy(&found).contains(text)
        })
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(names).count()
}

/// The first line of the answer to a request without a token.
fn status(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[test]
fn fault_a_cloud_prints_its_settings_and_leaves_nothing_when_it_is_interrupted() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    // The program of the image is not run here.
    command.args(["cloud", "--seed", "5", "--faults", "some", "--server", "/bin/true"]);
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
    let credentials = PathBuf::from(setting("GOOGLE_APPLICATION_CREDENTIALS"));
    assert!(credentials.exists());
    let address = setting("MEMCLOUD_GOOGLE_ENDPOINT").replace("http://", "");
    let path = "/run.googleapis.com/v2/projects/memcloud-fake/locations/us-central1/services";
    assert_eq!(status(&address, path), "HTTP/1.1 401 Unauthorized");

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
    let root = credentials.parent().unwrap();
    assert!(!Path::new(root).exists());
    assert_eq!(processes(&root.display().to_string()), 0);
}
