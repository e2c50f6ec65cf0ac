//! Who sent a request.

use std::net::SocketAddr;

/// The address that a request came from. The listener leaves it on every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);
