//! Hostile clients of an HTTP server, who have no key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

const PROBE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
const REFUSED: &[u8] = b"GET /v1/sessions HTTP/1.1\r\nhost: localhost\r\n\r\n";
const HALF_A_BODY: &[u8] =
    b"POST /v1/memories HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n{\"";

/// What a hostile connection does until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Connects and sends nothing.
    SaysNothing,
    /// Sends half of a head.
    SendsHalfAHead,
    /// Sends 31 KiB of a head, which is as much as a connection buffers.
    SendsALongHead,
    /// Sends a head byte by byte.
    DripsAHead,
    /// Sends a head and the beginning of a body.
    SendsHalfABody,
    /// Sends requests without end, and reads no answer.
    ReadsNoAnswer,
    /// The same with requests that lack a key.
    ReadsNoRefusal,
    /// Sends requests without end, and reads the answers.
    PipelinesProbes,
    /// The same with requests that lack a key.
    PipelinesRefused,
    /// Sends a request without a key after each answer.
    AsksOnAndOn,
}

impl Attack {
    /// Each of them, with what they do in words.
    pub const ALL: [(&str, Self); 10] = [
        ("say nothing", Self::SaysNothing),
        ("send half a head", Self::SendsHalfAHead),
        ("send a long head without its end", Self::SendsALongHead),
        ("drip a head", Self::DripsAHead),
        ("send half a body", Self::SendsHalfABody),
        ("read no answer", Self::ReadsNoAnswer),
        ("read no refusal", Self::ReadsNoRefusal),
        ("pipeline probes", Self::PipelinesProbes),
        ("pipeline refused requests", Self::PipelinesRefused),
        ("ask again after each refusal", Self::AsksOnAndOn),
    ];

    /// Runs until the server ends the connection. Adds a permit when it is connected.
    pub async fn run(self, address: SocketAddr, connected: &Semaphore) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        if matches!(self, Self::ReadsNoAnswer | Self::ReadsNoRefusal) {
            socket.set_recv_buffer_size(2_048)?;
        }
        let mut stream = socket.connect(address).await?;
        connected.add_permits(1);
        match self {
            Self::SaysNothing => waits(&mut stream, b"").await,
            Self::SendsHalfAHead => waits(&mut stream, &PROBE[..30]).await,
            Self::SendsALongHead => waits(&mut stream, &long_head()).await,
            Self::DripsAHead => {
                stream.write_all(b"GET /health/live HTTP/1.1\r\nx: ").await?;
                loop {
                    stream.write_all(b"x").await?;
                    sleep(Duration::from_millis(500)).await;
                }
            }
            Self::SendsHalfABody => waits(&mut stream, HALF_A_BODY).await,
            Self::ReadsNoAnswer => repeat(&mut stream, PROBE).await,
            Self::ReadsNoRefusal => repeat(&mut stream, REFUSED).await,
            Self::PipelinesProbes => pipelines(stream, PROBE).await,
            Self::PipelinesRefused => pipelines(stream, REFUSED).await,
            Self::AsksOnAndOn => loop {
                stream.write_all(REFUSED).await?;
                if stream.read(&mut [0; 4 << 10]).await? == 0 {
                    return Ok(());
                }
            },
        }
    }
}

fn long_head() -> Vec<u8> {
    [&PROBE[..PROBE.len() - 2], b"x: ", &vec![b'x'; 31 << 10]].concat()
}

async fn waits(stream: &mut TcpStream, sent: &[u8]) -> std::io::Result<()> {
    stream.write_all(sent).await?;
    while stream.read(&mut [0; 1_024]).await? > 0 {}
    Ok(())
}

async fn repeat(stream: &mut (impl AsyncWriteExt + Unpin), request: &[u8]) -> std::io::Result<()> {
    let many = request.repeat(100);
    loop {
        stream.write_all(&many).await?;
    }
}

async fn pipelines(stream: TcpStream, request: &[u8]) -> std::io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let mut answers = tokio::io::sink();
    tokio::select! {
        read = tokio::io::copy(&mut reader, &mut answers) => read.map(drop),
        wrote = repeat(&mut writer, request) => wrote,
    }
}

/// Many connections of one kind. Dropping this ends them.
#[derive(Debug)]
pub struct Strangers {
    running: JoinSet<()>,
    connected: Arc<Semaphore>,
    count: u32,
}

impl Strangers {
    /// Begins so many on this runtime. Where they are cut off, they come back at once if `come_back` says so.
    pub fn begin(
        runtime: &Runtime,
        count: u32,
        address: SocketAddr,
        attack: Attack,
        come_back: bool,
    ) -> Self {
        let _inside = runtime.enter();
        let (mut running, connected) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
        for _ in 0..count {
            let connected = Arc::clone(&connected);
            running.spawn(async move {
                loop {
                    // Being cut off is what it expects.
                    let _ = attack.run(address, &connected).await;
                    if !come_back {
                        return;
                    }
                    yield_now().await;
                }
            });
        }
        Self { running, connected, count }
    }

    /// Waits until as many connections as there are strangers were made.
    pub async fn are_connected(&self) {
        // The semaphore is never closed.
        let _all = self.connected.acquire_many(self.count).await;
    }

    /// Ends all, and waits until they have ended.
    pub async fn end(mut self) {
        self.running.shutdown().await;
    }
}
