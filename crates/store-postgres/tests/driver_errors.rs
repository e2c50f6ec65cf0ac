//! The driver reports some failures in words only, which `error.rs` matches. These tests pin them for the driver in
//! `Cargo.lock`: after an update that changes the words, a wrong password would be an internal error.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed; tests hold their own tasks"
)]

use std::path::PathBuf;

use memcloud_domain::{DatabaseErrorKind, Error};
use memcloud_ports::ContentLocation;
use memcloud_store_postgres::{Host, Target, Tls, examine};
use memcloud_store_tests::clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers the first message of each connection with these bytes. Returns its port.
async fn server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut message = [0; 1024];
                if socket.read(&mut message).await.is_ok_and(|bytes| bytes > 0) {
                    socket.write_all(answer).await.ok();
                    // Until the client closes the connection.
                    socket.read_to_end(&mut Vec::new()).await.ok();
                }
            });
        }
    });
    port
}

async fn kind(port: u16, tls: Tls) -> DatabaseErrorKind {
    let target = Target {
        host: Host::Network("127.0.0.1".into()),
        port,
        database: "memory".into(),
        user: "ann".into(),
        password: None,
        tls,
        pool: 1,
    };
    match examine(&target, ContentLocation::Records, clock()).await {
        Err(Error::Database { kind, .. }) => kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_without_tls_is_untrusted() {
    let tls = Tls::Verified(None::<PathBuf>);
    assert_eq!(kind(server(b"N").await, tls).await, DatabaseErrorKind::Untrusted);
}

#[tokio::test]
async fn a_client_without_the_password_is_refused() {
    // AuthenticationCleartextPassword.
    let server = server(b"R\0\0\0\x08\0\0\0\x03").await;
    assert_eq!(kind(server, Tls::Off).await, DatabaseErrorKind::Refused);
}

#[tokio::test]
async fn a_server_with_an_unsupported_login_refuses() {
    // AuthenticationGSS.
    let server = server(b"R\0\0\0\x08\0\0\0\x07").await;
    assert_eq!(kind(server, Tls::Off).await, DatabaseErrorKind::Refused);
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_eq!(kind(port, Tls::Off).await, DatabaseErrorKind::Unreachable);
}
