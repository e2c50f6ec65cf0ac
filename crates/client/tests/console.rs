//! The stream of an operation's events, from a console whose connections break.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use memcloud_client::Console;

/// A console that answers one request after another with these bodies of event streams, cutting each connection off, and
/// reports the `Last-Event-ID` of each request.
fn console(bodies: Vec<String>) -> (Console, Receiver<String>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for body in bodies {
            let (mut stream, _) = listener.accept().unwrap();
            let last = last_event_id(&stream);
            // Chunks without an end: the connection breaks within the answer.
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            write!(stream, "{head}{:x}\r\n{body}\r\n", body.len()).unwrap();
            sender.send(last).unwrap();
        }
    });
    (Console::new(&url, None).unwrap(), asked)
}

fn last_event_id(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty());
    let head: Vec<String> = lines.collect();
    let id = head.iter().find_map(|line| line.strip_prefix("last-event-id: "));
    id.unwrap().to_owned()
}

fn event(number: u64, kind: &str, state: &str) -> String {
    let data = serde_json::json!({
        "number": number, "time": "2026-01-01T00:00:00Z", "kind": kind, "step": null, "state": state, "message": "m",
    });
    format!("id: {number}\nevent: {kind}\ndata: {data}\n\n")
}

#[tokio::test]
async fn a_broken_stream_goes_on_behind_its_last_event() {
    let first = event(1, "operation", "running") + ": still there\n\n" + &event(2, "step", "running");
    let second = event(3, "step", "done") + &event(4, "operation", "succeeded");
    let (console, asked) = console(vec![first, second]);
    let mut events = console.events("an-operation", 0);
    let mut numbers = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        numbers.push(event.number);
    }
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), ["0", "2"]);
}

#[tokio::test]
async fn an_operation_that_was_begun_again_does_not_end_with_its_first_failure() {
    let all = event(1, "operation", "failed")
        + &event(2, "operation", "running")
        + &event(3, "operation", "succeeded");
    let (console, _asked) = console(vec![all]);
    let mut events = console.events("an-operation", 0);
    let mut states = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        states.push(event.state);
    }
    assert_eq!(states, ["failed", "running", "succeeded"]);
}
