//! TLS in front of a PostgreSQL that has none.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::background::Background;
use crate::{Certificates, done, ports};

/// PostgreSQL's `SSLRequest`: the length, and a number in place of a version.
const ASKS_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// PostgreSQL's `GSSENCRequest`.
const ASKS_FOR_GSS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];
const YES: u8 = b'S';
const NO: u8 = b'N';

/// Terminates TLS in front of a PostgreSQL; ends with this handle. A client that does not request TLS is rejected, as
/// by a Cloud SQL instance that requires it.
#[derive(Debug)]
pub struct TlsEnd {
    port: u16,
    _work: Background,
}

impl TlsEnd {
    /// Forwards to a server, such as `127.0.0.1:5432`, with the server certificate of this set.
    pub fn start(server: impl Into<String>, certificates: &Certificates) -> Self {
        done(Self::try_start(server.into(), certificates))
    }

    fn try_start(server: String, certificates: &Certificates) -> Result<Self> {
        let acceptor = acceptor(certificates)?;
        let listener = ports::listen()?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let work = Background::start(move || async move {
            match TcpListener::from_std(listener) {
                Ok(listener) => keep(listener, acceptor, server.into()).await,
                Err(error) => panic!("cannot listen: {error}"),
            }
        })?;
        Ok(Self { port, _work: work })
    }

    /// The address for clients.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn acceptor(certificates: &Certificates) -> Result<TlsAcceptor> {
    let chain = vec![CertificateDer::from_pem_file(certificates.certificate_file())?];
    let key = PrivateKeyDer::from_pem_file(certificates.key_file())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key)?)))
}

async fn keep(listener: TcpListener, acceptor: TlsAcceptor, server: Arc<str>) {
    loop {
        // A client that leaves before it is accepted causes an error that does not concern the next one.
        let Ok((client, _)) = listener.accept().await else { continue };
        let (acceptor, server) = (acceptor.clone(), Arc::clone(&server));
        tokio::spawn(async move {
            // The client notices what fails on its connection.
            let _ = carry(client, &acceptor, &server).await;
        });
    }
}

async fn carry(mut client: TcpStream, acceptor: &TlsAcceptor, server: &str) -> Result<()> {
    client.set_nodelay(true)?;
    if !agree(&mut client).await? {
        client.write_all(&refusal()).await?;
        return Ok(client.shutdown().await?);
    }
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Reads the client's request and agrees to TLS; returns whether the client asked for it.
async fn agree(client: &mut TcpStream) -> Result<bool> {
    let mut request = [0; 8];
    client.read_exact(&mut request).await?;
    if request == ASKS_FOR_GSS {
        client.write_all(&[NO]).await?;
        client.read_exact(&mut request).await?;
    }
    let wants_tls = request == ASKS_FOR_TLS;
    if wants_tls {
        client.write_all(&[YES]).await?;
    }
    Ok(wants_tls)
}

/// PostgreSQL's error for a client that `pg_hba.conf` requires to use TLS.
fn refusal() -> Vec<u8> {
    let fields = "SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for host \"127.0.0.1\", no encryption\0\0";
    // The length includes itself.
    let length = (fields.len() as u32 + 4).to_be_bytes();
    [b"E", length.as_slice(), fields.as_bytes()].concat()
}
