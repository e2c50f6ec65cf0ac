//! Certificates for one run: an authority, a server certificate, and an unrelated authority.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// The names under which the servers of tests are reached.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// PEM files in a temporary folder, removed with this handle.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes a certificate for `localhost` and `127.0.0.1`, the authority that signed it, and another authority.
    pub fn make() -> Self {
        Self::try_make().unwrap_or_else(|error| panic!("cannot make certificates: {error:#}"))
    }

    pub(crate) fn try_make() -> Result<Self> {
        let made = Self { folder: tempfile::Builder::new().prefix("mc-tls-").tempdir()? };
        let authority = authority("MemCloud's tests")?;
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(NAMES.map(String::from))?;
        leaf.distinguished_name.push(DnType::CommonName, NAMES[0]);
        // Set explicitly: rustls rejects an authority's certificate as a server certificate.
        leaf.is_ca = IsCa::ExplicitNoCa;
        let leaf = leaf.signed_by(&key, &authority)?;
        write(&made.ca_file(), &authority.pem())?;
        write(&made.other_ca_file(), &self::authority("another authority")?.pem())?;
        write(&made.certificate_file(), &leaf.pem())?;
        write(&made.key_file(), &key.serialize_pem())?;
        Ok(made)
    }

    /// The authority that signed the server's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.folder().join("ca.crt")
    }

    /// An unrelated authority.
    pub fn other_ca_file(&self) -> PathBuf {
        self.folder().join("other-ca.crt")
    }

    /// The server's certificate.
    pub fn certificate_file(&self) -> PathBuf {
        self.folder().join("server.crt")
    }

    /// The server's private key.
    pub fn key_file(&self) -> PathBuf {
        self.folder().join("server.key")
    }

    /// The folder that contains them.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn write(path: &Path, pem: &str) -> Result<()> {
    std::fs::write(path, pem).with_context(|| format!("cannot write {}", path.display()))
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}
