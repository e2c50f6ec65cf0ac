//! Everyone else: a prober and callers with a key, each request on a connection of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::bench::figures::{millis, quantile};

/// The key of the instance.
pub(super) const KEY: &str = "a-key-of-the-attacked-instance";
/// No answer takes so long unless it never comes.
const PATIENCE: Duration = Duration::from_mins(1);
const BETWEEN: Duration = Duration::from_millis(2);

/// What others waited, in milliseconds.
#[derive(Default)]
pub(super) struct Waited {
    pub(super) probes: Vec<f64>,
    pub(super) calls: Vec<f64>,
}

impl Waited {
    pub(super) fn add(&mut self, other: Self) {
        self.probes.extend(other.probes);
        self.calls.extend(other.calls);
    }
}

/// The value below which this share of all is.
pub(super) fn share(times: &[f64], share: f64) -> f64 {
    quantile(times.to_vec(), share)
}

/// The request of a caller with a key.
pub(super) fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request on a connection of its own, and waits for the whole answer.
pub(super) fn send(address: SocketAddr, request: &str) -> Result<(String, Duration)> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok((String::from_utf8_lossy(&answer).into_owned(), began.elapsed()))
}

/// Probes, and sends these requests by turns, as long as `goes_on` says so. Each must be answered with 200.
pub(super) fn ask(
    address: SocketAddr,
    calls: &[String],
    mut goes_on: impl FnMut(usize) -> bool,
) -> Result<Waited> {
    let mut waited = Waited::default();
    let probe = request("GET", "/health/live", "");
    for round in 0.. {
        if !goes_on(round) {
            break;
        }
        for (request, times) in
            [(&probe, &mut waited.probes), (&calls[round % calls.len()], &mut waited.calls)]
        {
            let (answer, took) = send(address, request)?;
            ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            times.push(millis(took));
        }
        std::thread::sleep(BETWEEN);
    }
    Ok(waited)
}
