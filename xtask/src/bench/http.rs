//! A client that costs next to nothing: HTTP/1.1 over one kept connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// One kept connection to a server. It is opened anew when the server closed it while idle.
pub(crate) struct Client {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    used: Instant,
    /// Sent with every request, each line with its end.
    headers: String,
}

/// Servers close connections that idle for long; before that, a new one is opened.
const IDLE: Duration = Duration::from_secs(3);

/// What an answer begins with.
struct Head {
    status: u16,
    length: Option<usize>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Result<Self> {
        Ok(Self { address, stream: connect(address)?, used: Instant::now(), headers: String::new() })
    }

    /// The same with this header in every request.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.extend([name, ": ", value, "\r\n"]);
        self
    }

    /// Sends JSON and waits for the answer, and says how long that took.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Result<(Value, Duration)> {
        let began = self.send("POST", path, &body.to_string())?;
        let answer = self.whole(path)?;
        let took = began.elapsed();
        self.used = Instant::now();
        Ok((serde_json::from_slice(&answer).context("the answer is not JSON")?, took))
    }

    /// Asks for JSON.
    pub(crate) fn get(&mut self, path: &str) -> Result<Value> {
        self.send("GET", path, "")?;
        let answer = self.whole(path)?;
        self.used = Instant::now();
        serde_json::from_slice(&answer).context("the answer is not JSON")
    }

    /// Sends JSON, and shows every event of the answer as soon as it is there.
    pub(crate) fn events(&mut self, path: &str, body: &Value, mut look: impl FnMut(&str)) -> Result<()> {
        self.send("POST", path, &body.to_string())?;
        let head = self.head()?;
        ensure!(head.status == 200 && head.length.is_none(), "POST {path}: {}, no stream", head.status);
        let (mut text, mut size) = (String::new(), usize::MAX);
        while size > 0 {
            let chunk = self.chunk()?;
            size = chunk.len();
            text.push_str(std::str::from_utf8(&chunk)?);
            while let Some(end) = text.find("\n\n") {
                look(&text[..end]);
                text.drain(..end + 2);
            }
        }
        self.used = Instant::now();
        Ok(())
    }

    /// Says when it was sent.
    fn send(&mut self, method: &str, path: &str, body: &str) -> Result<Instant> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.headers,
            body.len()
        );
        if self.used.elapsed() > IDLE {
            self.stream = connect(self.address)?;
        }
        let began = Instant::now();
        self.stream.get_mut().write_all(request.as_bytes())?;
        Ok(began)
    }

    fn whole(&mut self, path: &str) -> Result<Vec<u8>> {
        let head = self.head()?;
        let mut body = vec![0; head.length.context("an answer without content-length")?];
        self.stream.read_exact(&mut body)?;
        if head.status != 200 {
            bail!("{path}: {} {}", head.status, String::from_utf8_lossy(&body));
        }
        Ok(body)
    }

    fn head(&mut self) -> Result<Head> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status =
            line.split(' ').nth(1).and_then(|status| status.parse().ok()).context("not an HTTP answer")?;
        let mut length = None;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        Ok(Head { status, length })
    }

    /// The next piece of an answer that comes in pieces. The last one is empty.
    fn chunk(&mut self) -> Result<Vec<u8>> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).context("the stream broke off")?;
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk)?;
        line.clear();
        self.stream.read_line(&mut line)?;
        Ok(chunk)
    }
}

fn connect(address: SocketAddr) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}
