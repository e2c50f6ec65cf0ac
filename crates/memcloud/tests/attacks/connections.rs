//! What 2,000 connections of strangers do to everyone else: nothing. Each kind of attack runs against the real binary
//! while a prober and a caller with a key go on.

use std::net::SocketAddr;
use std::time::Duration;

use memcloud_test_servers::{Attack, Strangers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::alone;
use crate::home::{Home, PATIENCE, Server};

const ATTACKERS: u32 = 2_000;
/// How often others ask during each attack.
const ROUNDS: usize = 50;
const KEY: &str = "a-key-of-the-attacked-instance";
/// The most memory that an attack may take, in bytes.
const MEMORY: u64 = 64 << 20;

fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request on a connection of its own, which must be answered with 200.
async fn send(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<(), String> {
    let mut answer = String::new();
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request(method, path, body).as_bytes()).await?;
        stream.read_to_string(&mut answer).await
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(_)) if answer.starts_with("HTTP/1.1 200 ") => Ok(()),
        ended => Err(format!("{path}: {ended:?} {answer}")),
    }
}

/// Probes and calls by turns.
async fn others(address: SocketAddr) -> Result<(), String> {
    for _ in 0..ROUNDS {
        send(address, "GET", "/health/live", "").await?;
        send(address, "GET", "/v1/memories?group_id=default", "").await?;
    }
    Ok(())
}

/// What others get while these attackers are at work, who come back as soon as they are cut off if `come_back` says so.
fn attacked(runtime: &Runtime, address: SocketAddr, attack: Attack, come_back: bool) -> Result<(), String> {
    let strangers = Strangers::begin(runtime, ATTACKERS, address, attack, come_back);
    // On a thread of their own: what makes them wait is the server, not the attackers beside them.
    let seen = Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        timeout(PATIENCE, strangers.are_connected()).await.expect("they connect");
        others(address).await
    });
    runtime.block_on(strangers.end());
    seen
}

fn start(home: &Home, settings: &[(&str, &str)]) -> (Server, SocketAddr) {
    let mut command = home.memcloud();
    command.args(["serve", "--offline", "--listen", "127.0.0.1:0"]).env("MEMCLOUD_API_KEYS", KEY);
    let server = Server::start(command.envs(settings.iter().copied()));
    let address = server.url.trim_start_matches("http://").parse().unwrap();
    (server, address)
}

fn runtime() -> Runtime {
    let files = rustix::process::Resource::Nofile;
    let limit = rustix::process::getrlimit(files);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(files, raised).unwrap();
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Nothing ends a connection of a stranger within the test, unless it makes room for others.
const FOR_EVER: [(&str, &str); 2] = [("MEMCLOUD_HEADER_TIMEOUT", "3600"), ("MEMCLOUD_WRITE_TIMEOUT", "3600")];

#[test]
fn callers_without_a_key_delay_no_caller_with_one() {
    let _alone = alone();
    let (home, runtime) = (Home::new(), runtime());
    let (server, address) = start(&home, &FOR_EVER);
    let before = server.peak_resident();
    for (name, attack) in Attack::ALL {
        for come_back in [false, true] {
            let seen = attacked(&runtime, address, attack, come_back);
            assert_eq!(seen, Ok(()), "they {name}, and come back: {come_back}");
            let more = server.peak_resident().saturating_sub(before);
            assert!(more < MEMORY, "they {name}, and come back: {come_back}: {more} bytes");
        }
    }
}

#[test]
fn an_answer_that_no_client_takes_costs_its_connection() {
    let _alone = alone();
    let (home, runtime) = (Home::new(), runtime());
    let (_server, address) = start(&home, &[("MEMCLOUD_WRITE_TIMEOUT", "1")]);
    runtime.block_on(async {
        let mut attackers = JoinSet::new();
        for _ in 0..3 {
            attackers.spawn(async move { reads_nothing(address).await });
        }
        let all = async { while attackers.join_next().await.is_some() {} };
        timeout(PATIENCE, all).await.expect("each is cut off");
    });
}

/// Sends requests with a key, which cost no connection by themselves, until the server ends it.
async fn reads_nothing(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    loop {
        stream.write_all(lasting_request().as_bytes()).await?;
    }
}

fn lasting_request() -> String {
    format!("GET /v1/sessions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\r\n")
}

#[test]
fn a_stranger_who_asks_without_end_loses_its_connection_and_a_caller_with_a_key_does_not() {
    let _alone = alone();
    let (home, runtime) = (Home::new(), runtime());
    let (_server, address) = start(&home, &FOR_EVER);
    runtime.block_on(async {
        let mut caller = TcpStream::connect(address).await.unwrap();
        for _ in 0..3 {
            let connected = Semaphore::new(0);
            let asks = Attack::AsksOnAndOn.run(address, &connected);
            // By an end or a reset: it sends once more than is read.
            let _ = timeout(PATIENCE, asks).await.expect("it is cut off");
            for _ in 0..1_000 {
                caller.write_all(lasting_request().as_bytes()).await.unwrap();
                let mut answer = [0; 4_096];
                let bytes = timeout(PATIENCE, caller.read(&mut answer)).await.expect("an answer").unwrap();
                assert!(answer[..bytes].starts_with(b"HTTP/1.1 200 "), "{bytes}");
            }
        }
    });
}

#[test]
fn an_answer_that_trickles_costs_its_connection() {
    const MESSAGE: usize = 1 << 20;
    const MESSAGES: usize = 4;
    let _alone = alone();
    let (home, runtime) = (Home::new(), runtime());
    let (_server, address) = start(&home, &[("MEMCLOUD_WRITE_TIMEOUT", "6")]);
    runtime.block_on(async {
        for _ in 0..MESSAGES {
            let body = format!("{{\"episode_content\": \"{}\"}}", "tea ".repeat(MESSAGE / 4));
            assert_eq!(send(address, "POST", "/v1/memories", &body).await, Ok(()));
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(2_048).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(request("GET", "/v1/memories?group_id=default", "").as_bytes()).await.unwrap();
        let mut taken = 0;
        // 10 KiB a second, so that the server is never kept waiting for six seconds at once. All of it would take seven minutes.
        let trickles = async {
            while let Ok(bytes @ 1..) = stream.read(&mut [0; 1_024]).await {
                taken += bytes;
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, trickles).await.expect("it is cut off");
        assert!((1..MESSAGE * MESSAGES).contains(&taken), "{taken}");
    });
}
