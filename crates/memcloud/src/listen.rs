use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::settings::ListenAddress;

/// Takes the address. Done before anything else, so that a taken port leaves all data untouched.
pub(crate) async fn listen(address: &ListenAddress) -> Result<TcpListener, Failure> {
    let addresses = address.resolved()?;
    let ListenAddress { text: address, flag, .. } = address;
    TcpListener::bind(&addresses[..]).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => Failure::new(
            format!("the address {address} is taken: another program listens there"),
            format!(
                "stop that program, or choose another address with {flag}, such as {}",
                next_to(addresses[0])
            ),
        ),
        ErrorKind::PermissionDenied => Failure::new(
            format!("this user may not listen on {address}"),
            format!("choose a port from 1024 up with {flag}"),
        ),
        _ => Failure::new(
            format!("cannot listen on {address}: {error}"),
            format!("choose an address of this machine with {flag}"),
        ),
    })
}

fn next_to(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8081))
}
