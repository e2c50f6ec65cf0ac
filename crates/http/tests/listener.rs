//! A listener whose connections are all being answered, and one whose clients stop reading.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::get;
use memcloud_http::{ServeOptions, has_room, serve};
use memcloud_tasks::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);
const CONNECTIONS: usize = 8;

struct Served {
    address: SocketAddr,
    /// Lets answers of `/slow` go.
    goes: Arc<Semaphore>,
    _tasks: Tasks,
}

/// A server with a probe, a route that answers when it is let, a route for callers with a key, and one without an end.
async fn served(options: ServeOptions) -> Served {
    let goes = Arc::new(Semaphore::new(0));
    let (held, tasks) = (Arc::clone(&goes), Tasks::new());
    let guarded = async |request: Request| {
        let has_key = request.headers().contains_key("authorization");
        if has_room(&request, has_key) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    };
    let slow = async move || held.acquire().await.unwrap().forget();
    let router = Router::new()
        .route("/live", get(async || "alive"))
        .route("/slow", get(slow))
        .route("/guarded", get(guarded))
        .route("/endless", get(async || vec![b'x'; 64 << 20]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn("server", |stop| async move {
        serve(listener, router, options, stop.cancelled_owned()).await.unwrap();
    });
    Served { address, goes, _tasks: tasks }
}

async fn sent(served: &Served, path: &str, header: &str) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The status of the answer to a request on a connection of its own.
async fn status(served: &Served, path: &str, header: &str) -> u16 {
    let mut stream = sent(served, path, &format!("connection: close\r\n{header}")).await;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer[9..12].parse().unwrap()
}

#[tokio::test]
async fn when_every_place_is_busy_only_probes_and_keys_are_admitted() {
    let options = ServeOptions {
        connections: CONNECTIONS,
        connections_per_address: Some(CONNECTIONS),
        ..ServeOptions::default()
    };
    let served = served(options).await;
    let mut busy = Vec::new();
    for _ in 0..CONNECTIONS {
        busy.push(sent(&served, "/slow", "").await);
    }
    // The last of them may not have been read yet; until then it makes room.
    while status(&served, "/guarded", "").await == 200 {
        busy.push(sent(&served, "/slow", "").await);
    }
    for _ in 0..3 {
        assert_eq!(status(&served, "/guarded", "").await, 503);
        assert_eq!(status(&served, "/guarded", "authorization: Bearer key\r\n").await, 200);
        assert_eq!(status(&served, "/live", "").await, 200);
    }
    served.goes.add_permits(busy.len());
    while status(&served, "/guarded", "").await != 200 {}
}

#[tokio::test]
async fn a_silent_stranger_who_made_room_hears_of_it_after_a_client_between_two_requests() {
    let options =
        ServeOptions { connections: 2, connections_per_address: Some(2), ..ServeOptions::default() };
    let served = served(options).await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut idle = sent(&served, "/live", "").await;
    idle.read_exact(&mut [0; 12]).await.unwrap();
    let _busy = [sent(&served, "/slow", "").await, sent(&served, "/slow", "").await];
    let (mut nothing, mut rest) = (Vec::new(), Vec::new());
    let both = async {
        tokio::select! {
            biased;
            ended = idle.read_to_end(&mut rest) => assert!(ended.is_ok()),
            _ = silent.read_to_end(&mut nothing) => panic!("the silent one hears of it first"),
        }
        silent.read_to_end(&mut nothing).await.unwrap();
    };
    timeout(PATIENCE, both).await.unwrap();
    assert_eq!(nothing, b"");
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_connection() {
    let options = ServeOptions { write_timeout: Duration::from_millis(300), ..ServeOptions::default() };
    let served = served(options).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    let mut stream = socket.connect(served.address).await.unwrap();
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    // It reads only after the server has given up, and must not get all of it then.
    let ended = async { while stream.write_all(b"\r\n").await.is_ok() {} };
    timeout(PATIENCE, ended).await.unwrap();
    let mut taken = Vec::new();
    let _ = stream.read_to_end(&mut taken).await;
    assert!(taken.len() < 64 << 20);
}

#[tokio::test]
async fn a_slow_client_gets_the_whole_answer() {
    let options = ServeOptions { write_timeout: Duration::from_secs(2), ..ServeOptions::default() };
    let served = served(options).await;
    let mut stream = sent(&served, "/endless", "connection: close\r\n").await;
    let (mut taken, mut piece) = (0, vec![0; 8 << 20]);
    loop {
        match timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap() {
            0 => break,
            read => taken += read,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(taken > 64 << 20, "{taken}");
}
