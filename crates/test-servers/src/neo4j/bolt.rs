//! Just enough of Bolt to detect whether a server speaks it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::home::HOST;

/// The first bytes of Bolt, and the versions to choose from: 5.4 down to 5.0, or 4.4. The rest stays empty.
const HANDSHAKE: [u8; 20] = [0x60, 0x60, 0xB0, 0x17, 0, 4, 4, 5, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0];
/// A server that has not answered by then is asked once more.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Whether a server speaks Bolt on this port, over TLS with a certificate of this authority.
pub(super) fn answers(port: u16, ca_file: &Path) -> Result<bool> {
    let config = trusting(ca_file)?;
    let greet = || -> std::io::Result<bool> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let name = ServerName::try_from(HOST).map_err(std::io::Error::other)?;
        let connection = ClientConnection::new(config, name).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        stream.write_all(&HANDSHAKE)?;
        let mut version = [0; 4];
        stream.read_exact(&mut version)?;
        Ok(version != [0; 4])
    };
    Ok(greet().unwrap_or(false))
}

fn trusting(ca_file: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).context("cannot read the authority's certificate")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
