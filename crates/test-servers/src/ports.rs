//! Free ports on this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Context, Result};

/// Below the ports that systems choose for outgoing connections (from 32,768 on Linux, from 49,152 elsewhere).
/// With such a port, a client of another test could take the port of a server that is down for a moment, or a client
/// that keeps reconnecting could connect to itself.
const PORTS: Range<u16> = 15_000..32_000;
/// How many ports are tried before the cause must be something else.
const TRIES: usize = 100;

/// Another program took the port between choosing it and listening.
#[derive(Debug)]
pub(crate) struct Taken(pub(crate) u16);

impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "port {} is taken by another program: end it, or start on another port", self.0)
    }
}

impl std::error::Error for Taken {}

/// Listens on a free port.
pub(crate) fn listen() -> Result<TcpListener> {
    let try_one = || TcpListener::bind((Ipv4Addr::LOCALHOST, rand::random_range(PORTS)));
    let found = (1..TRIES).find_map(|_| try_one().ok());
    found.map_or_else(try_one, Ok).context("cannot listen on any port of 127.0.0.1")
}

/// A port of 127.0.0.1 that no program listens on now.
pub fn free_port() -> u16 {
    crate::done(listen().and_then(|listener| Ok(listener.local_addr()?.port())))
}

/// Starts a server on a free port, and again on another port when this one was taken meanwhile.
pub(crate) fn on_a_free_one<T>(mut start: impl FnMut(u16) -> Result<T>) -> Result<T> {
    let mut tried = 0;
    loop {
        let port = listen()?.local_addr()?.port();
        tried += 1;
        match start(port) {
            Err(error) if error.is::<Taken>() && tried < TRIES => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_port_is_taken_when_one_is_in_use() {
        let mut ports = Vec::new();
        let started = on_a_free_one(|port| {
            ports.push(port);
            if ports.len() < 3 { Err(Taken(port).into()) } else { Ok(port) }
        });
        assert_eq!((started.unwrap(), ports.len()), (ports[2], 3));
        assert!(on_a_free_one(|_| -> Result<u16> { anyhow::bail!("it is broken") }).is_err());
    }
}
