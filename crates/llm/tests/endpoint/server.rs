//! A server that sends exactly the bytes that a test writes out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinHandle;

/// What to do after a request, in order. Then the connection is closed.
pub(crate) type Reply = Vec<Act>;

#[derive(Clone)]
pub(crate) enum Act {
    Send(Vec<u8>),
    /// Waits for the test.
    Await(Arc<Notify>),
    Pause(Duration),
    /// Keeps the connection open without sending anything.
    Hang,
    /// Sends the same bytes until the client disconnects.
    Flood(Vec<u8>),
}

/// A request that arrived.
#[derive(Debug)]
pub(crate) struct Received {
    /// Method, path with query, version.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    asked: mpsc::UnboundedReceiver<Received>,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    /// Answers the first request with the first reply, and so on; closes the connection of later ones.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut replies = replies.into_iter().collect::<Vec<_>>();
        replies.reverse();
        let replies = Arc::new(Mutex::new(replies));
        let (sender, asked) = mpsc::unbounded_channel();
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (sender, replies) = (sender.clone(), replies.clone());
                connections.spawn(async move {
                    let mut socket = BufReader::new(socket);
                    let Some(asked) = request(&mut socket).await else { return };
                    let reply = replies.lock().await.pop().unwrap_or_default();
                    drop(sender.send(asked));
                    answer(socket.into_inner(), reply).await;
                });
            }
        });
        Self { address, asked, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Waits for the next request.
    pub(crate) async fn asked(&mut self) -> Received {
        self.asked.recv().await.unwrap()
    }

    /// The requests that have arrived and were not read yet.
    pub(crate) fn received(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).collect()
    }
}

async fn request(socket: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    socket.read_exact(&mut body).await.ok()?;
    Some(Received { line, headers, body })
}

/// The client may disconnect at any moment.
async fn answer(mut socket: TcpStream, reply: Reply) {
    for act in reply {
        match act {
            Act::Send(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Act::Await(go) => go.notified().await,
            Act::Pause(pause) => tokio::time::sleep(pause).await,
            Act::Hang => std::future::pending().await,
            Act::Flood(bytes) => while socket.write_all(&bytes).await.is_ok() {},
        }
    }
    drop(socket.shutdown().await);
}

/// Sends these bytes.
pub(crate) fn send(bytes: impl AsRef<[u8]>) -> Act {
    Act::Send(bytes.as_ref().to_vec())
}

/// A whole answer.
pub(crate) fn whole(status: &str, kind: &str, body: impl AsRef<[u8]>) -> Reply {
    with_head(status, &format!("content-type: {kind}\r\n"), body)
}

/// A whole answer with these header lines.
pub(crate) fn with_head(status: &str, head: &str, body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let head =
        format!("HTTP/1.1 {status}\r\n{head}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    vec![send([head.as_bytes(), body].concat())]
}

pub(crate) fn json(body: impl AsRef<[u8]>) -> Reply {
    whole("200 OK", "application/json", body)
}

/// The head of a chunked answer.
pub(crate) fn head(status: &str, kind: &str) -> Act {
    send(format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    ))
}

/// The head of a stream of events.
pub(crate) fn stream_head() -> Act {
    head("200 OK", "text/event-stream; charset=utf-8")
}

/// A chunk.
pub(crate) fn chunk(bytes: impl AsRef<[u8]>) -> Act {
    let bytes = bytes.as_ref();
    send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
}

/// The last chunk.
pub(crate) fn end() -> Act {
    send("0\r\n\r\n")
}

/// A stream of events in these pieces, with a proper end.
pub(crate) fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Reply {
    let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).map(chunk);
    [stream_head()].into_iter().chain(pieces).chain([end()]).collect()
}
