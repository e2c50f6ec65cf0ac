//! What 2,000 connections of strangers do to everyone else: nothing. Each kind of attack runs against the real binary
//! while a prober and a caller with a key go on.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::alone;
use crate::home::{Home, PATIENCE, Server};

const ATTACKERS: usize = 2_000;
/// How often others ask during each attack.
const ROUNDS: usize = 50;
const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
const REFUSED: &[u8] = b"GET /v1/sessions HTTP/1.1\r\nhost: localhost\r\n\r\n";
const KEY: &str = "a-key-of-the-attacked-instance";
/// The most memory that an attack may take, in bytes.
const MEMORY: u64 = 64 << 20;

/// What one hostile connection does until it ends.
#[derive(Clone, Copy, Debug)]
enum Attack {
    /// Sends thousands of requests and reads no answer.
    ReadsNothing,
    /// The same with requests that lack a key.
    ReadsNoRefusal,
    /// Connects and sends nothing.
    Silent,
    /// Sends half of a head.
    HalfOpen,
    /// Sends a head byte by byte.
    Drips,
    /// Sends a head and half of a body, and no key.
    HalfABody,
    /// Sends thousands of requests and reads their answers.
    Pipelines,
    /// Sends a request without a key after each answer.
    AsksOnAndOn,
}

const ALL: [Attack; 8] = [
    Attack::ReadsNothing,
    Attack::ReadsNoRefusal,
    Attack::Silent,
    Attack::HalfOpen,
    Attack::Drips,
    Attack::HalfABody,
    Attack::Pipelines,
    Attack::AsksOnAndOn,
];

impl Attack {
    /// Runs until the server ends the connection. Says when it is connected, as far as anyone listens.
    async fn run(self, address: SocketAddr, at_work: &Sender<()>) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        if matches!(self, Attack::ReadsNothing | Attack::ReadsNoRefusal) {
            socket.set_recv_buffer_size(2_048)?;
        }
        let mut stream = socket.connect(address).await?;
        let _ = at_work.try_send(());
        match self {
            // Both end when the server ends the connection.
            Attack::ReadsNothing => loop {
                stream.write_all(LIVE).await?;
            },
            Attack::ReadsNoRefusal => loop {
                stream.write_all(REFUSED).await?;
            },
            Attack::AsksOnAndOn => loop {
                stream.write_all(REFUSED).await?;
                if stream.read(&mut [0; 4_096]).await? == 0 {
                    return Ok(());
                }
            },
            Attack::Silent => {}
            Attack::HalfOpen => stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: lo").await?,
            Attack::Drips => {
                stream.write_all(b"GET /health/live HTTP/1.1\r\nx: ").await?;
                loop {
                    stream.write_all(b"x").await?;
                    sleep(Duration::from_millis(500)).await;
                }
            }
            Attack::HalfABody => {
                let head =
                    "POST /v1/memories HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n{\"";
                stream.write_all(head.as_bytes()).await?;
            }
            Attack::Pipelines => {
                let (mut read, mut write) = stream.split();
                let mut answers = tokio::io::sink();
                let reads = tokio::io::copy(&mut read, &mut answers);
                let writes = async { while write.write_all(LIVE).await.is_ok() {} };
                return tokio::join!(reads, writes).0.map(drop);
            }
        }
        // Stays until the server ends the connection.
        stream.ready(tokio::io::Interest::ERROR).await.map(drop)
    }
}

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

/// What others get while these attackers are at work, who come back as soon as they are cut off if `refills` says so.
fn attacked(
    attackers_at: &Runtime,
    address: SocketAddr,
    attack: Attack,
    refills: bool,
) -> Result<(), String> {
    let inside = attackers_at.enter();
    let mut attackers = JoinSet::new();
    let (at_work, mut are_at_work) = channel(ATTACKERS);
    for _ in 0..ATTACKERS {
        let at_work = at_work.clone();
        attackers.spawn(async move {
            loop {
                // Being cut off is what it expects.
                let _ = attack.run(address, &at_work).await;
                if !refills {
                    return;
                }
                yield_now().await;
            }
        });
    }
    drop((inside, at_work));
    // On a thread of their own: what makes them wait is the server, not the attackers beside them.
    let seen = Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        for _ in 0..ATTACKERS {
            timeout(PATIENCE, are_at_work.recv()).await.expect("it connects").expect("attackers go on");
        }
        others(address).await
    });
    attackers_at.block_on(attackers.shutdown());
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
    for (attack, refills) in ALL.into_iter().flat_map(|attack| [(attack, false), (attack, true)]) {
        let seen = attacked(&runtime, address, attack, refills);
        assert_eq!(seen, Ok(()), "{attack:?}, refilled: {refills}");
        let more = server.peak_resident().saturating_sub(before);
        assert!(more < MEMORY, "{attack:?}, refilled: {refills}: {more} bytes");
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
            let (at_work, _) = channel(1);
            let asks = Attack::AsksOnAndOn.run(address, &at_work);
            timeout(PATIENCE, asks).await.expect("it is cut off").unwrap();
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
