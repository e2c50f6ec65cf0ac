use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::home::{Home, PATIENCE};
use crate::with_model::serve;

#[test]
fn a_signal_ends_it_soon_and_nothing_is_lost() {
    for name in ["TERM", "INT", "HUP"] {
        let home = Home::new();
        let mut server = home.serve();
        home.run(&["add", "remember this", "--url", &server.url]).ok();
        let signalled = Instant::now();
        server.signal(name);
        assert!(server.ended().success(), "{}", server.logged);
        assert!(signalled.elapsed() < Duration::from_secs(5), "{:?}", signalled.elapsed());
        let again = home.serve();
        home.run(&["search", "remember", "--url", &again.url]).ok();
    }
}

#[test]
fn a_batch_that_has_begun_is_stored_whole_or_not_at_all() {
    let home = Home::new();
    let mut server = serve(&home);
    let mut stream = begin_batch(server.url.trim_start_matches("http://"));
    let signalled = Instant::now();
    server.signal("TERM");
    let mut answer = Vec::new();
    // An end of the connection, orderly or not, is no answer.
    let read = stream.read_to_end(&mut answer);
    assert!(server.ended().success(), "{}", server.logged);
    assert!(signalled.elapsed() < Duration::from_secs(5), "{:?}", signalled.elapsed());
    let answer = String::from_utf8(answer).unwrap();
    let answered = read.is_ok() && answer.contains("HTTP/1.1 200 ");
    assert!(answered || answer.is_empty(), "{answer}");
    let again = home.serve();
    let listed = home.run(&["list", "--all", "--json", "--group", "g", "--url", &again.url]).ok().json();
    let stored = listed["episodes"].as_array().unwrap().len();
    assert!(stored == BATCH || (stored == 0 && !answered), "{stored} are stored; answered: {answered}");
}

const BATCH: usize = 200;

/// Sends a batch, and is back once the server has begun with it, which it says by asking for the body.
fn begin_batch(address: &str) -> TcpStream {
    let episodes: Vec<Value> =
        (0..BATCH).map(|n| json!({"episode_content": format!("message {n} of the batch")})).collect();
    let body = json!({"session": {"group_id": "g"}, "episodes": episodes}).to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /v1/memories/batch HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Nothing but these two lines is there to read yet.
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "HTTP/1.1 100 Continue");
    assert_eq!(lines.next().unwrap().unwrap(), "");
    stream.write_all(body.as_bytes()).unwrap();
    stream
}
