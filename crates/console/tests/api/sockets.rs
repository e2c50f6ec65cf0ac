//! What only a real connection shows.

use memcloud_http::{ServeOptions, serve};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::test_console::{Console, PATIENCE};

async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = String::new();
    let reading = async {
        let mut buffer = [0; 4096];
        while !all.contains(text) {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the connection ended: {all}");
            all += str::from_utf8(&buffer[..read]).unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the text arrives");
    all
}

#[tokio::test]
async fn a_client_that_lost_its_connection_misses_no_event_and_a_stopping_console_ends_its_streams() {
    let console = Console::open().await;
    let token = console.owner_token().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = console.stop.clone();
    let shutdown = async move { stop.cancelled().await };
    let server = tokio::spawn(serve(listener, console.router.clone(), ServeOptions::default(), shutdown));
    let send = async |head: &str, body: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{head}\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let go = console.target.will_wait("act");
    let body = json!({"name": "own"}).to_string();
    let mut create = send("POST /api/instances HTTP/1.1", &body).await;
    let accepted = read_until(&mut create, "}]}}").await;
    assert!(accepted.starts_with("HTTP/1.1 202 "), "{accepted}");
    let accepted: serde_json::Value =
        serde_json::from_str(accepted.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let operation = accepted["operation"]["id"].as_str().unwrap();
    let path = format!("GET /api/operations/{operation}/events HTTP/1.1");
    let mut first = send(&path, "").await;
    let seen = read_until(&mut first, "\"message\":\"waiting\"").await;
    drop(first);
    let last = seen.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap();
    go.send(true).unwrap();
    let mut second = send(&format!("{path}\r\nLast-Event-ID: {last}"), "").await;
    let rest = read_until(&mut second, "\"state\":\"succeeded\"").await;
    let next = rest.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    assert_eq!(next.parse::<u64>().unwrap(), last.parse::<u64>().unwrap() + 1);
    console.target.write_log("line\n");
    let id = accepted["instance"]["id"].as_str().unwrap();
    let mut log = send(&format!("GET /api/instances/{id}/logs?follow=true HTTP/1.1"), "").await;
    read_until(&mut log, "line").await;
    console.stop.cancel();
    let mut end = vec![];
    tokio::time::timeout(PATIENCE, log.read_to_end(&mut end)).await.expect("the stream ends").unwrap();
    tokio::time::timeout(PATIENCE, server).await.expect("the server ends").unwrap().unwrap();
}
