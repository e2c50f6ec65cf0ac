//! What can be between a client and a server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memcloud_test_servers::{Certificates, Mode, Postgres, Proxy, TlsEnd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A server that sends back what it gets; answers its address.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut piece = [0; 64];
                while let Ok(read @ 1..) = stream.read(&mut piece) {
                    stream.write_all(&piece[..read]).unwrap();
                }
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

/// Whether what is sent comes back.
fn echoes(stream: &mut TcpStream) -> bool {
    let mut back = [0; 4];
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut back).is_ok() && &back == b"ping"
}

#[test]
fn a_proxy_passes_hangs_and_is_slow() {
    let proxy = Proxy::start(echo());
    let mut client = connect(&proxy);
    assert!(echoes(&mut client) && proxy.connections() == 1);

    proxy.set(Mode::Hang);
    client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut late = connect(&proxy);
    for stream in [&mut client, &mut late] {
        stream.write_all(b"ping").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let kind = stream.read(&mut [0; 4]).unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind}");
    }
    proxy.set(Mode::Pass);
    for stream in [&mut client, &mut late] {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
    }

    let pause = Duration::from_millis(30);
    proxy.set(Mode::Slow(pause));
    let began = Instant::now();
    assert!(echoes(&mut client) && began.elapsed() >= 2 * pause);
}

#[tokio::test]
async fn a_proxy_cuts_and_refuses() {
    let proxy = Proxy::start(echo());
    let mut client = connect(&proxy);
    assert!(echoes(&mut client));
    proxy.cut_now();
    assert!(!echoes(&mut client) && proxy.connections() == 0);
    assert!(echoes(&mut connect(&proxy)));

    proxy.set(Mode::Cut);
    assert_eq!(proxy.connections(), 0);
    assert!(!echoes(&mut connect(&proxy)));

    proxy.set(Mode::Refuse);
    assert_eq!(TcpStream::connect(proxy.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    proxy.set(Mode::Pass);
    assert!(echoes(&mut connect(&proxy)));
}

#[tokio::test]
async fn fault_a_tls_end_speaks_as_postgresql_does() {
    let certificates = Certificates::make();
    let server = Postgres::start();
    let end = TlsEnd::start(format!("127.0.0.1:{}", server.port()), &certificates);

    let answer = greet(end.port(), &certificates.ca_file()).unwrap();
    // "R", the length, and 10: prove that you know the password.
    assert_eq!((answer[0], answer[8]), (b'R', 10));
    let refused = greet(end.port(), &certificates.other_ca_file()).unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer"), "{refused}");

    let mut plain = TcpStream::connect(end.address()).unwrap();
    plain.write_all(&startup()).unwrap();
    let mut words = String::new();
    plain.read_to_string(&mut words).unwrap();
    assert!(words.contains("28000") && words.contains("no encryption"), "{words}");
}

/// Asks for TLS, then says hello, and returns the first nine bytes of the answer.
fn greet(port: u16, ca_file: &std::path::Path) -> std::io::Result<[u8; 9]> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47])?;
    let mut yes = [0];
    stream.read_exact(&mut yes)?;
    assert_eq!(&yes, b"S");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream);
    stream.write_all(&startup())?;
    let mut answer = [0; 9];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// "Version 3.0, user memcloud", as every client begins.
fn startup() -> Vec<u8> {
    let words = b"\x00\x03\x00\x00user\0memcloud\0\0";
    [&(words.len() as u32 + 4).to_be_bytes(), words.as_slice()].concat()
}
