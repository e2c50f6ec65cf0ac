//! What 2,000 connections of strangers do to everyone else: nothing. Each kind of attack runs against the real binary
//! while a prober and a caller with a key go on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::home::{Home, PATIENCE, Server};

const ATTACKERS: usize = 2_000;
/// How long each attack goes on after all of its connections have begun.
const LASTS: Duration = Duration::from_secs(2);
const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
const KEY: &str = "a-key-of-the-attacked-instance";
/// What the attackers may cost others by keeping the processors busy, in milliseconds.
const ATTACKERS_SHARE: f64 = 3_000.0;
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
}

const ALL: [Attack; 7] = [
    Attack::ReadsNothing,
    Attack::ReadsNoRefusal,
    Attack::Silent,
    Attack::HalfOpen,
    Attack::Drips,
    Attack::HalfABody,
    Attack::Pipelines,
];

impl Attack {
    async fn run(self, address: SocketAddr) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        if matches!(self, Attack::ReadsNothing | Attack::ReadsNoRefusal) {
            socket.set_recv_buffer_size(2_048)?;
        }
        let mut stream = socket.connect(address).await?;
        match self {
            // Both end when the server ends the connection.
            Attack::ReadsNothing => loop {
                stream.write_all(LIVE).await?;
            },
            Attack::ReadsNoRefusal => loop {
                stream.write_all(b"GET /v1/sessions HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
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

/// What others saw, in milliseconds.
#[derive(Debug, Default)]
struct Seen {
    probes: Vec<f64>,
    calls: Vec<f64>,
}

impl Seen {
    fn p95(times: &mut [f64]) -> f64 {
        times.sort_by(f64::total_cmp);
        times[times.len() * 95 / 100]
    }
}

/// Sends one request on a connection of its own. Panics unless it is answered with 200.
async fn get(address: SocketAddr, path: &str) -> f64 {
    let began = Instant::now();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\r\n"
    );
    let mut answer = String::new();
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_string(&mut answer).await
    };
    timeout(PATIENCE, asked).await.expect("it is answered").expect("it is answered in full");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    began.elapsed().as_secs_f64() * 1e3
}

/// Probes and calls by turns for this time.
async fn others(address: SocketAddr, time: Duration) -> Seen {
    let mut seen = Seen::default();
    let began = Instant::now();
    while began.elapsed() < time {
        seen.probes.push(get(address, "/health/live").await);
        seen.calls.push(get(address, "/v1/memories?group_id=default").await);
        sleep(Duration::from_millis(2)).await;
    }
    seen
}

/// What others see while these attackers are at work, who come back as soon as they are cut off if `refills` says so.
fn attacked(attackers_at: &Runtime, address: SocketAddr, attack: Option<Attack>, refills: bool) -> Seen {
    let inside = attackers_at.enter();
    let mut attackers = JoinSet::new();
    for _ in 0..attack.map_or(0, |_| ATTACKERS) {
        attackers.spawn(async move {
            loop {
                // Being cut off is what it expects.
                let _ = attack.unwrap().run(address).await;
                if !refills {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    drop(inside);
    // On a thread of their own: what makes them wait is the server, not the attackers beside them.
    let seen = Builder::new_current_thread().enable_all().build().unwrap().block_on(others(address, LASTS));
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

#[test]
fn strangers_keep_no_caller_waiting() {
    let (home, runtime) = (Home::new(), runtime());
    let (server, address) = start(&home, &[]);
    let mut idle = attacked(&runtime, address, None, false);
    let (probes, calls) = (Seen::p95(&mut idle.probes), Seen::p95(&mut idle.calls));
    println!("idle: probes p95 {probes:.1} ms, calls p95 {calls:.1} ms");
    let before = server.resident();
    for (attack, refills) in ALL.into_iter().flat_map(|attack| [(attack, false), (attack, true)]) {
        let mut seen = attacked(&runtime, address, Some(attack), refills);
        let more = server.peak_resident().saturating_sub(before);
        let most = seen.probes.iter().copied().fold(0.0, f64::max);
        println!(
            "{attack:?}{}: {} probes p95 {:.1} max {most:.1} ms, calls p95 {:.1} ms, {} MB more",
            if refills { ", refilled" } else { "" },
            seen.probes.len(),
            Seen::p95(&mut seen.probes),
            Seen::p95(&mut seen.calls),
            more >> 20,
        );
        assert!(more < MEMORY, "{more} bytes");
        // Attackers and others share the machine's processors here, so this only tells waiting from being served late: a
        // place that others hold would be free after ten seconds.
        assert!(Seen::p95(&mut seen.calls) < 3.0 * calls + ATTACKERS_SHARE, "{attack:?}");
        assert!(Seen::p95(&mut seen.probes) < 3.0 * probes + ATTACKERS_SHARE, "{attack:?}");
    }
}

#[test]
fn an_answer_that_no_client_takes_costs_its_connection() {
    let (home, runtime) = (Home::new(), runtime());
    let (_server, address) = start(&home, &[("MEMCLOUD_WRITE_TIMEOUT", "1")]);
    runtime.block_on(async {
        let mut attackers = JoinSet::new();
        for _ in 0..3 {
            attackers.spawn(Attack::ReadsNothing.run(address));
        }
        let all = async { while attackers.join_next().await.is_some() {} };
        timeout(PATIENCE, all).await.expect("each is cut off");
    });
}
