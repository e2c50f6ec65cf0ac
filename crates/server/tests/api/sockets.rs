//! What only a real connection shows: time-outs, bodies that never end, and the end of the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::test_instance::app;
use memcloud_http::{ServeOptions, serve};
use memcloud_server::{ApiKeys, Settings, router};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    _directory: TempDir,
}

async fn served(settings: Settings, options: ServeOptions) -> Served {
    let directory = tempfile::tempdir().unwrap();
    let router = router(app(directory.path(), ApiKeys::none(), settings, None).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let server = tokio::spawn(serve(listener, router, options, shutdown));
    Served { address, stop, server, _directory: directory }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn sent(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        stream
    }
}

/// Long enough for any machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = vec![];
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("the server closes the connection").unwrap();
    String::from_utf8(bytes).unwrap()
}

fn head(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

fn short() -> Settings {
    Settings { body_timeout: Duration::from_millis(300), body_bytes: 10_000, ..Settings::default() }
}

#[tokio::test]
async fn a_half_sent_body_times_out() {
    let served = served(short(), ServeOptions::default()).await;
    let request = head("POST", "/v1/memories", "Content-Length: 100\r\n") + "{\"episode_";
    let answer = rest(served.sent(request).await).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"code\":\"body_timeout\"") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_slow_body_times_out_though_it_never_pauses() {
    let served = served(short(), ServeOptions::default()).await;
    let began = Instant::now();
    let mut stream = served.sent(head("POST", "/v1/memories", "Transfer-Encoding: chunked\r\n")).await;
    let mut answer = vec![0; 4096];
    let read = loop {
        let _ = stream.write_all(b"1\r\n \r\n").await;
        match tokio::time::timeout(Duration::from_millis(50), stream.read(&mut answer)).await {
            Ok(read) => break read.unwrap(),
            Err(_) => assert!(began.elapsed() < PATIENCE, "the body is read for ever"),
        }
    };
    assert!(answer[..read].starts_with(b"HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_body_over_the_limit_is_answered_though_the_client_is_still_sending() {
    let served = served(short(), ServeOptions::default()).await;
    for length in ["Content-Length: 30000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut request = head("POST", "/v1/memories", &format!("{length}Connection: close\r\n"));
        if length.starts_with('T') {
            request.extend(["7530\r\n", &"x".repeat(0x7530), "\r\n0\r\n\r\n"]);
        } else {
            request += &"x".repeat(30_000);
        }
        let answer = rest(served.sent(request).await).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("payload_too_large"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_no_one_reads_does_not_cost_its_answer() {
    let served = served(Settings::default(), ServeOptions::default()).await;
    for (method, path, status) in [("GET", "/openapi.json", "200"), ("POST", "/nowhere", "404")] {
        // The answer comes before the body does, and the connection stays usable.
        let mut stream = served.sent(head(method, path, "Content-Length: 9\r\n")).await;
        let mut begun = vec![0; 12];
        stream.read_exact(&mut begun).await.unwrap();
        stream.write_all(b"any bytes").await.unwrap();
        stream.write_all(head("GET", "/health/live", "Connection: close\r\n").as_bytes()).await.unwrap();
        let answers = String::from_utf8(begun).unwrap() + &rest(stream).await;
        assert!(answers.starts_with(&format!("HTTP/1.1 {status}")), "{answers}");
        assert!(
            answers.contains("HTTP/1.1 200 OK") && answers.ends_with("{\"status\":\"alive\"}"),
            "{answers}"
        );
    }
    // A client that sends all of a large body before it reads.
    let length = 9 << 20;
    let mut stream = served.sent(head("POST", "/nowhere", &format!("Content-Length: {length}\r\n"))).await;
    stream.write_all(&vec![b' '; length]).await.unwrap();
    let mut begun = vec![0; 12];
    stream.read_exact(&mut begun).await.unwrap();
    assert_eq!(begun, b"HTTP/1.1 404");
}

#[tokio::test]
async fn a_body_without_end_is_not_read_for_ever() {
    let served = served(Settings::default(), ServeOptions::default()).await;
    let mut stream = served.sent(head("POST", "/nowhere", "Transfer-Encoding: chunked\r\n")).await;
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let sending = async { while stream.write_all(piece.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, sending).await.expect("the server closes the connection");
    let silent = served.sent(head("POST", "/nowhere", "Content-Length: 100\r\n")).await;
    assert!(rest(silent).await.starts_with("HTTP/1.1 404 "), "and closes it when nothing comes");
}

#[tokio::test]
async fn a_request_of_http_1_1_names_its_host() {
    let served = served(Settings::default(), ServeOptions::default()).await;
    let answer = rest(served.sent("GET /health/live HTTP/1.1\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("missing_host"), "{answer}");
    let answer = rest(served.sent("GET /health/live HTTP/1.0\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
}

#[tokio::test]
async fn an_oversized_body_announced_with_expect_continue_is_refused() {
    let served = served(short(), ServeOptions::default()).await;
    let more = "Content-Length: 30000\r\nExpect: 100-continue\r\nConnection: close\r\n";
    let answer = rest(served.sent(head("POST", "/v1/memories", more)).await).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_half_sent_head_and_an_idle_connection_are_closed() {
    let options = ServeOptions { header_timeout: Duration::from_millis(200), ..ServeOptions::default() };
    let served = served(Settings::default(), options).await;
    rest(served.sent("GET /health HTTP/1.1\r\nHo").await).await;
    assert_eq!(rest(served.connect().await).await, "");
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_a_new_one() {
    let header_timeout = Duration::from_hours(1);
    let options = ServeOptions { connections: 1, header_timeout, ..ServeOptions::default() };
    let served = served(Settings::default(), options).await;
    let mut first = served.sent(head("GET", "/health/live", "")).await;
    let mut begun = [0; 12];
    first.read_exact(&mut begun).await.unwrap();
    let answer = rest(served.sent(head("GET", "/health/live", "Connection: close\r\n")).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // The first one ends, long before it has been idle for an hour.
    let mut rest = vec![];
    let ended = tokio::time::timeout(PATIENCE, first.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "it still has its place");
}

#[tokio::test]
async fn stopping_finishes_what_was_begun_and_closes_what_is_idle() {
    let served = served(Settings::default(), ServeOptions::default()).await;
    let body = r#"{"episode_content":"begun"}"#;
    let length = format!("Content-Length: {}\r\n", body.len());
    let mut begun = served.sent(head("POST", "/v1/memories", &length)).await;
    let idle = served.sent(head("GET", "/health/live", "")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let address = served.address;
    served.stop.send(()).unwrap();
    let answer = rest(idle).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(TcpStream::connect(address).await.is_err(), "no more connections are accepted");
    begun.write_all(body.as_bytes()).await.unwrap();
    let answer = rest(begun).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"stored\""), "{answer}");
    served.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let options = ServeOptions { drain: Duration::from_millis(300), ..ServeOptions::default() };
    let settings = Settings { body_timeout: Duration::from_hours(1), ..Settings::default() };
    let served = served(settings, options).await;
    let never = served.sent(head("POST", "/v1/memories", "Content-Length: 10\r\n")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.stop.send(()).unwrap();
    let ended = tokio::time::timeout(PATIENCE, served.server).await;
    ended.expect("it waits for ever").unwrap().unwrap();
    drop(never);
}
