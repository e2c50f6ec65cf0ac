use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::answers::http;
use crate::home::{Home, PATIENCE};
use crate::with_model::serve;

const ENDS_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn a_signal_stops_the_server_and_keeps_every_answered_store() {
    for name in ["TERM", "INT", "HUP"] {
        let home = Home::new();
        let mut server = home.serve();
        home.run(&["add", "remember this", "--url", &server.url]).ok();
        assert!(server.ends_within(ENDS_WITHIN, name).success(), "{}", server.logged);
        let again = home.serve();
        home.run(&["search", "remember", "--url", &again.url]).ok();
    }
}

#[test]
fn a_batch_that_has_begun_is_stored_whole_or_not_at_all() {
    let home = Home::new();
    let mut server = serve(&home);
    let texts = (0..BATCH).map(|n| format!("message {n} of the batch"));
    let mut stream = begin_batch(&server.url, texts);
    assert!(server.ends_within(ENDS_WITHIN, "TERM").success(), "{}", server.logged);
    let mut answer = Vec::new();
    // An end of the connection, orderly or not, does not count as an answer.
    let read = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let answered = read.is_ok() && answer.contains("HTTP/1.1 200 ");
    assert!(answered || answer.is_empty(), "{answer}");
    let again = home.serve();
    let listed = home.run(&["list", "--all", "--json", "--group", "g", "--url", &again.url]).ok().json();
    let stored = listed["episodes"].as_array().unwrap().len();
    assert!(stored == BATCH || (stored == 0 && !answered), "{stored} are stored; answered: {answered}");
}

/// A mebibyte of each is among the slowest of all texts.
const HOSTILE: [&str; 8] = ["y", "ay", "x ", "ﷺ", "ำ", "a\u{301}", "\u{1}", "last may "];
/// While these texts are worked on, a server that serves beside them answers hundreds of probes; one that does not, one.
const PROBES: usize = 10;

#[test]
fn hostile_texts_delay_no_probe_and_no_stop() {
    let home = Home::new();
    let mut server = home.serve();
    let texts = HOSTILE.map(|pattern| {
        let text = pattern.repeat((1 << 20) / pattern.len());
        json!({"episode_content": text})
    });
    let post = |path: &str, body: Value| {
        let url = format!("{}{path}", server.url);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            // The last ones are cut off when the server stops.
            let request = async { http().post(url).body(body.to_string()).timeout(PATIENCE).send().await };
            runtime.block_on(request).map(|answer| answer.status()).ok()
        })
    };
    let group = |mut body: Value| {
        body["session"] = json!({"group_id": "hostile"});
        body
    };
    let stores: Vec<_> = texts.iter().map(|text| post("/v1/memories", group(text.clone()))).collect();
    let searches: Vec<_> = texts
        .iter()
        .map(|text| post("/v1/memories/search", group(json!({"query": text["episode_content"]}))))
        .collect();
    let mut probes = 0;
    while !stores.iter().chain(&searches).all(std::thread::JoinHandle::is_finished) {
        assert_eq!(liveness(&server.url), "HTTP/1.1 200 OK");
        probes += 1;
    }
    assert!(probes >= PROBES, "{probes}");
    // "\u{1}" alone shows nothing.
    let statuses: Vec<_> = stores.into_iter().map(|store| store.join().unwrap().unwrap().as_u16()).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 422, 200]);
    let batch = group(json!({"episodes": vec![&texts[0]; 7]}));
    let batches: Vec<_> = (0..4).map(|_| post("/v1/memories/batch", batch.clone())).collect();
    assert_eq!(liveness(&server.url), "HTTP/1.1 200 OK");
    server.ends_within(ENDS_WITHIN, "TERM");
    drop(batches);
}

/// The first line of the answer of liveness.
fn liveness(url: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET /health/live HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    BufReader::new(stream).lines().next().unwrap().unwrap()
}

const BATCH: usize = 200;

/// Sends a batch, and is back once the server has begun with it, which it says by asking for the body.
pub(crate) fn begin_batch(url: &str, texts: impl Iterator<Item = String>) -> TcpStream {
    let address = url.trim_start_matches("http://");
    let episodes: Vec<Value> = texts.map(|text| json!({"episode_content": text})).collect();
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
