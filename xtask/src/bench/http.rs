//! A client that costs next to nothing: HTTP/1.1 over one kept connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// One kept connection to a server. It is opened anew when the server closed it while idle.
pub(crate) struct Client {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    used: Instant,
}

/// Servers close connections that idle for long; before that, a new one is opened.
const IDLE: Duration = Duration::from_secs(3);

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Result<Self> {
        Ok(Self { address, stream: connect(address)?, used: Instant::now() })
    }

    /// Sends JSON and waits for the answer, and says how long that took.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Result<(Value, Duration)> {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if self.used.elapsed() > IDLE {
            self.stream = connect(self.address)?;
        }
        let began = Instant::now();
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (status, answer) = self.answer()?;
        let took = began.elapsed();
        self.used = Instant::now();
        if status != 200 {
            bail!("POST {path}: {status} {}", String::from_utf8_lossy(&answer));
        }
        Ok((serde_json::from_slice(&answer).context("the answer is not JSON")?, took))
    }

    fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
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
        let mut body = vec![0; length.context("an answer without content-length")?];
        self.stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}

fn connect(address: SocketAddr) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}
