//! The stand-in as a program.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

struct Program {
    child: Child,
    url: String,
    log: BufReader<std::process::ChildStderr>,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memcloud-fake-llm"));
    command.args(args).stdin(Stdio::null());
    command
}

fn start(args: &[&str]) -> Program {
    let mut child = command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let url = line.split("listening on ").nth(1).unwrap().trim().to_owned();
    Program { child, url, log }
}

fn http() -> reqwest::Client {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap()
}

#[tokio::test]
async fn it_answers_until_a_signal_stops_it() {
    for signal in ["TERM", "INT"] {
        let mut program = start(&["--key", "sk-dev", "--latency", "5ms", "--jitter", "5ms"]);
        assert!(program.url.ends_with("/v1"), "{}", program.url);
        let body = json!({"model": "fake-llm", "messages": [
            {"role": "system", "content": "- [2026-05-08 13:56] \"Ann\": \"I live in Oslo.\""},
            {"role": "user", "content": "Where does Ann live?"},
        ]});
        let call = || http().post(format!("{}/chat/completions", program.url)).json(&body);
        assert_eq!(call().send().await.unwrap().status(), 401);
        let answer: Value = call().bearer_auth("sk-dev").send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["choices"][0]["message"]["content"], "I live in Oslo.");
        let id = program.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
        assert!(program.child.wait().unwrap().success());
        let log: Vec<String> = (&mut program.log).lines().map(Result::unwrap).collect();
        assert!(log.iter().all(|line| !line.contains("sk-dev")), "{log:?}");
    }
}

#[tokio::test]
async fn every_call_has_the_faults_of_the_command_line() {
    let program = start(&["--fault", "status=429,2", "--fault", "slow=5ms"]);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    for _ in 0..2 {
        let answer =
            http().post(format!("{}/chat/completions", program.url)).json(&body).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (429, &"2".parse().unwrap())
        );
    }
    let calls = format!("{}/dev/calls", program.url.trim_end_matches("/v1"));
    let calls: Value = http().get(calls).send().await.unwrap().json().await.unwrap();
    assert_eq!((&calls["calls"], &calls["charged"]), (&json!(2), &json!(0)));
}

#[test]
fn a_wrong_command_line_is_refused() {
    let refused = |args: &[&str]| {
        let output = command(args).output().unwrap();
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&["--fault", "flood"]).contains("there is no fault 'flood'; there are slow=2s, hang"));
    assert!(refused(&["--listen", "0.0.0.0:0"]).contains("127.0.0.1"));
}
