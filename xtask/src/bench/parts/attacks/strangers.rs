//! 2,000 connections without a key, of every kind. The attackers' threads have the lowest priority, so that they take the
//! processors from no one: on a network they would be on other machines.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use super::others::{KEY, Waited, ask, request, share};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median};
use crate::bench::server::Server;
use crate::steps::say;

const ATTACKERS: usize = 2_000;
/// How often others ask in each round, without the attackers and beside them by turns.
const REQUESTS: usize = 200;
const ROUNDS: usize = 3;
/// Attackers are at work for so long before others are watched, and gone for so long.
const BEGINS: Duration = Duration::from_millis(500);

const PROBE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
const REFUSED: &[u8] = b"GET /v1/sessions HTTP/1.1\r\nhost: localhost\r\n\r\n";
const HALF_A_BODY: &[u8] =
    b"POST /v1/memories HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n{\"";

/// What a hostile connection does until it ends.
#[derive(Clone, Copy)]
enum Attack {
    ReadsNoAnswer,
    ReadsNoRefusal,
    SaysNothing,
    SendsHalfAHead,
    SendsALongHead,
    DripsAHead,
    SendsHalfABody,
    PipelinesProbes,
    PipelinesRefused,
    AsksOnAndOn,
}

use Attack::{
    AsksOnAndOn, DripsAHead, PipelinesProbes, PipelinesRefused, ReadsNoAnswer, ReadsNoRefusal, SaysNothing,
    SendsALongHead, SendsHalfABody, SendsHalfAHead,
};

const ALL: [(&str, Attack); 10] = [
    ("say nothing", SaysNothing),
    ("send half a head", SendsHalfAHead),
    ("send a long head without its end", SendsALongHead),
    ("drip a head", DripsAHead),
    ("send half a body", SendsHalfABody),
    ("read no answer", ReadsNoAnswer),
    ("read no refusal", ReadsNoRefusal),
    ("pipeline probes", PipelinesProbes),
    ("pipeline refused requests", PipelinesRefused),
    ("ask again after each refusal", AsksOnAndOn),
];

impl Attack {
    async fn run(self, address: SocketAddr) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        if matches!(self, ReadsNoAnswer | ReadsNoRefusal) {
            socket.set_recv_buffer_size(2_048)?;
        }
        let mut stream = socket.connect(address).await?;
        match self {
            ReadsNoAnswer => repeat(&mut stream, PROBE).await,
            ReadsNoRefusal => repeat(&mut stream, REFUSED).await,
            SaysNothing => waits(&mut stream, b"").await,
            SendsHalfAHead => waits(&mut stream, &PROBE[..30]).await,
            SendsALongHead => waits(&mut stream, &long_head()).await,
            SendsHalfABody => waits(&mut stream, HALF_A_BODY).await,
            DripsAHead => {
                stream.write_all(b"GET /health/live HTTP/1.1\r\nx: ").await?;
                loop {
                    stream.write_all(b"x").await?;
                    sleep(Duration::from_millis(500)).await;
                }
            }
            PipelinesProbes => pipelines(stream, PROBE).await,
            PipelinesRefused => pipelines(stream, REFUSED).await,
            AsksOnAndOn => loop {
                stream.write_all(REFUSED).await?;
                if stream.read(&mut [0; 4 << 10]).await? == 0 {
                    return Ok(());
                }
            },
        }
    }
}

async fn repeat(stream: &mut (impl AsyncWriteExt + Unpin), request: &[u8]) -> std::io::Result<()> {
    let many = request.repeat(100);
    loop {
        stream.write_all(&many).await?;
    }
}

/// As much as a connection buffers.
fn long_head() -> Vec<u8> {
    [&PROBE[..PROBE.len() - 2], b"x: ", &vec![b'x'; 31 << 10]].concat()
}

/// Sends this, and waits until the server ends the connection.
async fn waits(stream: &mut TcpStream, sent: &[u8]) -> std::io::Result<()> {
    stream.write_all(sent).await?;
    while stream.read(&mut [0; 1_024]).await? > 0 {}
    Ok(())
}

/// Sends requests without end, and reads the answers.
async fn pipelines(stream: TcpStream, request: &[u8]) -> std::io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let mut answers = tokio::io::sink();
    tokio::select! {
        read = tokio::io::copy(&mut reader, &mut answers) => read.map(drop),
        wrote = repeat(&mut writer, request) => wrote,
    }
}

pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let kinds: Vec<_> = ALL
        .into_iter()
        .flat_map(|(name, attack)| {
            [(name.to_owned(), attack, false), (format!("{name} and come back at once"), attack, true)]
        })
        .filter(|(name, ..)| bench.wants(name))
        .collect();
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum })?;
    let attackers_at = Builder::new_multi_thread()
        .worker_threads(1)
        // Without the right to be nicer they take more from others, so the figures are worse, not better.
        .on_thread_start(|| _ = nice(19))
        .enable_all()
        .build()?;
    let data = tempfile::tempdir()?;
    let keys = [("MEMCLOUD_API_KEYS", KEY.to_owned())];
    let server = Server::start_on(bench, data.path(), &keys)?;
    let calls = [request("GET", "/v1/memories?group_id=bench", "")];
    let asks = || ask(server.address, &calls, |round| round < REQUESTS);
    asks()?;
    // What starting took is not theirs.
    server.forget_peak()?;
    let before = server.peak_resident_bytes()?;
    let (mut probes, mut of_calls, mut slowest, mut idle_slowest) =
        (Vec::new(), Vec::new(), Vec::new(), 0_f64);
    for (name, attack, refills) in kinds {
        let (mut ratios, mut all, mut idle_all) =
            ([const { Vec::new() }; 2], Waited::default(), Waited::default());
        for _ in 0..ROUNDS {
            let idle = asks()?;
            let attackers = begin(&attackers_at, server.address, attack, refills);
            let beside = asks().with_context(|| format!("strangers that {name}"))?;
            end(&attackers_at, attackers);
            ratios[0].push(share(&beside.probes, 0.95) / share(&idle.probes, 0.95));
            ratios[1].push(share(&beside.calls, 0.95) / share(&idle.calls, 0.95));
            all.add(beside);
            idle_all.add(idle);
        }
        let [of_probe, of_call] = ratios.map(median);
        say(&format!(
            "they {name}: probes {of_probe:.2} x ({:.2} and {:.2} ms p95, {:.1} and {:.1} ms at most), \
             calls {of_call:.2} x ({:.2} and {:.2} ms p95), {:.1} MiB more so far",
            share(&all.probes, 0.95),
            share(&idle_all.probes, 0.95),
            most(&all.probes),
            most(&idle_all.probes),
            share(&all.calls, 0.95),
            share(&idle_all.calls, 0.95),
            (server.peak_resident_bytes()? - before) / f64::from(1 << 20),
        ));
        probes.push(of_probe);
        of_calls.push(of_call);
        slowest.push(most(&all.probes));
        idle_slowest = idle_slowest.max(most(&idle_all.probes));
    }
    let more = server.peak_resident_bytes()? - before;
    let figure = |name: &str, value, unit, target, detail: String| Figure {
        name: name.to_owned(),
        value,
        unit,
        target: Target::AtMost(target),
        detail,
    };
    let kinds = format!("the worst of {} kinds, each the middle of {ROUNDS} rounds", probes.len());
    Ok(vec![
        figure("2,000 strangers: p95 of liveness, relative to idle", most(&probes), "x", 3.0, kinds.clone()),
        figure("2,000 strangers: p95 of calls, relative to idle", most(&of_calls), "x", 3.0, kinds),
        figure(
            "2,000 strangers: slowest answer of liveness",
            most(&slowest),
            "ms",
            100.0,
            format!("without them {idle_slowest:.1} ms"),
        ),
        figure("2,000 strangers: additional memory", more / f64::from(1 << 20), "MiB", 64.0, String::new()),
    ])
}

fn begin(at: &Runtime, address: SocketAddr, attack: Attack, refills: bool) -> JoinSet<()> {
    let inside = at.enter();
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        attackers.spawn(async move {
            loop {
                // Being cut off is what it expects.
                let _ = attack.run(address).await;
                if !refills {
                    return;
                }
                yield_now().await;
            }
        });
    }
    drop(inside);
    std::thread::sleep(BEGINS);
    attackers
}

fn end(at: &Runtime, mut attackers: JoinSet<()>) {
    at.block_on(attackers.shutdown());
    std::thread::sleep(BEGINS);
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
