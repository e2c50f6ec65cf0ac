//! The programs in `examples/`, as a reader runs them, each against a real server.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::chatting::Model;
use crate::home::{Home, Server, finish};

/// What each example stores and finds again.
const ANSWER: &str = "The spare key is under the blue pot.";

/// A file of an example.
fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(path)
}

/// The folder of packages that `cargo xtask test` fetched.
pub(crate) fn packages(name: &str) -> PathBuf {
    let folder = std::env::var_os("MEMCLOUD_TEST_EXAMPLES_DIR")
        .expect("MEMCLOUD_TEST_EXAMPLES_DIR names no folder with the packages: run 'cargo xtask test'");
    Path::new(&folder).join(name)
}

/// Runs an example in its home against a server, and answers what it printed.
#[track_caller]
fn printed(command: &mut Command, home: &Home, server: &Server) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("HOME", home.path("")).env("PATH", path).env("MEMCLOUD_URL", &server.url);
    finish(command).ok().stdout
}

/// Whether nothing is left of what an example stored.
#[track_caller]
fn is_clean(home: &Home, server: &Server, group: &str) {
    let left = home.run(&["list", "--all", "--group", group, "--url", &server.url]).ok();
    assert_eq!(left.stdout, "");
}

#[test]
fn curl_stores_finds_and_deletes() {
    let home = Home::new();
    let server = home.serve();
    let printed = printed(Command::new("bash").arg(example("curl.sh")), &home, &server);
    let (_, found) = printed.split_once("Search:").unwrap();
    assert!(found.contains(ANSWER), "{printed}");
    is_clean(&home, &server, "example-curl");
}

#[test]
fn python_stores_finds_and_deletes() {
    let home = Home::new();
    let server = home.serve();
    let printed = printed(Command::new("python3").arg(example("python/memory.py")), &home, &server);
    assert!(printed.lines().next().unwrap().ends_with(ANSWER), "{printed}");
    is_clean(&home, &server, "example-python");
}

#[test]
fn typescript_stores_finds_and_deletes() {
    let home = Home::new();
    let server = home.serve();
    let folder = home.path("typescript");
    std::fs::create_dir(&folder).unwrap();
    for file in ["memory.ts", "package.json", "tsconfig.json"] {
        std::fs::copy(example("typescript").join(file), folder.join(file)).unwrap();
    }
    std::os::unix::fs::symlink(packages("typescript/node_modules"), folder.join("node_modules")).unwrap();
    let printed = printed(Command::new("npm").arg("start").current_dir(&folder), &home, &server);
    let first = printed.lines().find(|line| line.starts_with(|c: char| c.is_ascii_digit())).unwrap();
    assert!(first.ends_with(ANSWER), "{printed}");
    is_clean(&home, &server, "example-typescript");
}

#[test]
fn rust_stores_finds_and_deletes() {
    let home = Home::new();
    let server = home.serve();
    // Cargo builds examples when it is asked for all tests of a crate, not for one file of them.
    let built = Path::new(env!("CARGO_BIN_EXE_memcloud")).with_file_name("examples").join("memory");
    assert!(built.exists(), "{} is missing: run 'cargo build -p memcloud --example memory'", built.display());
    let printed = printed(&mut Command::new(built), &home, &server);
    assert!(printed.lines().next().unwrap().ends_with(ANSWER), "{printed}");
    is_clean(&home, &server, "example-rust");
}

#[test]
fn the_openai_client_is_answered_from_another_conversation() {
    let home = Home::new();
    let model = Model::start();
    let mut serve = home.memcloud();
    serve.args(["serve", "--offline", "--listen", "127.0.0.1:0"]).env("OPENAI_BASE_URL", model.url());
    let server = Server::start(serve.env("MEMCLOUD_CHAT_MODEL", "fake-llm"));
    // Cleared by `printed`, so it is passed through `env`.
    let mut python = Command::new("env");
    let packages = format!("PYTHONPATH={}", packages("python").display());
    let printed = printed(python.arg(packages).arg("python3").arg(example("openai/chat.py")), &home, &server);
    assert!(printed.lines().nth(1).is_some_and(|answer| answer.contains("under the blue pot")), "{printed}");
}
