use std::path::Path;
use std::sync::Arc;

use memcloud_domain::{Database, DatabaseErrorKind, Error};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// TLS for a client that trusts this authority, or else those that the machine trusts.
pub(crate) fn client(authority: Option<&Path>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(untrusted)?;
    let builder = match authority {
        Some(file) => builder.with_root_certificates(roots(file)?),
        None => builder.with_platform_verifier().map_err(untrusted)?,
    };
    Ok(builder.with_no_client_auth())
}

fn roots(file: &Path) -> Result<RootCertStore, Error> {
    let unusable = |why: String| untrusted(format!("{}: {why}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("it contains no certificate".into())) } else { Ok(roots) }
}

fn untrusted(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::database(Database::Postgres, DatabaseErrorKind::Untrusted, source)
}
