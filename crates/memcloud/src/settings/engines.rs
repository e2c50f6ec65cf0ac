//! The databases of an instance.
//!
//! `NEO4J_URI` set: episodes are in Neo4j. `DB_HOST` or `DATABASE_URL` set: records are in PostgreSQL, and episodes too
//! when there is no Neo4j. Neither: everything is in the data directory.

use std::path::PathBuf;

use memcloud_control::instances::Connection;
use memcloud_instance::Engines;
use memcloud_instance::engines::{
    neo4j,
    postgres::{self, Host, InvalidAddress, Tls},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;

use super::names::{
    DATABASE_URL, DB_CA_FILE, DB_HOST, DB_NAME, DB_PASSWORD, DB_POOL, DB_PORT, DB_SSLMODE, DB_USER,
    NEO4J_CA_FILE, NEO4J_PASSWORD, NEO4J_URI, NEO4J_USER, Setting,
};
use super::source::Sources;
use crate::failure::Failure;
use crate::hint::of_address;

/// The databases that the settings name, checked as far as possible without connecting.
pub(crate) fn engines(sources: &Sources) -> Result<Engines, Failure> {
    Ok(Engines { graph: graph(sources)?, postgres: records(sources)? })
}

fn graph(sources: &Sources) -> Result<Option<neo4j::Target>, Failure> {
    let Some(uri) = sources.text(&NEO4J_URI, None) else { return Ok(None) };
    let (user, password) = (sources.text(&NEO4J_USER, None), sources.secret(&NEO4J_PASSWORD, None)?);
    let authority = authority(sources, &NEO4J_CA_FILE)?;
    neo4j::Target::from_uri(&uri, user, password, authority)
        .map(Some)
        .map_err(|bad| unusable(&NEO4J_URI, bad))
}

fn records(sources: &Sources) -> Result<Option<postgres::Target>, Failure> {
    let authority = authority(sources, &DB_CA_FILE)?;
    let (url, host) = (sources.secret(&DATABASE_URL, None)?, sources.text(&DB_HOST, None));
    let (mut target, named_by) = match (url, host) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let what = format!("{} and {} are both set", DATABASE_URL.name, DB_HOST.name);
            return Err(Failure::usage(what, "leave one of them out"));
        }
        (Some(url), None) => {
            let target = postgres::Target::from_url(url.expose_secret().trim(), authority);
            (target.map_err(|bad| unusable(&DATABASE_URL, bad))?, &DATABASE_URL)
        }
        (None, Some(host)) => (from_parts(sources, &host, authority)?, &DB_HOST),
    };
    if let Some(pool) = sources.parsed::<std::num::NonZeroUsize>(&DB_POOL)? {
        target.pool = pool.get();
    }
    target.check().map_err(|bad| unusable(named_by, bad))?;
    Ok(Some(target))
}

/// The target that the `DB_…` settings name.
fn from_parts(
    sources: &Sources,
    host: &str,
    authority: Option<PathBuf>,
) -> Result<postgres::Target, Failure> {
    let mode = sources.text(&DB_SSLMODE, None);
    let tls = Tls::of_mode(mode.as_deref(), host, authority).map_err(|bad| unusable(&DB_SSLMODE, bad))?;
    let name = |setting: &Setting| sources.text(setting, None).unwrap_or_else(|| "memcloud".into());
    Ok(postgres::Target {
        host: Host::of(host),
        port: sources.port(&DB_PORT)?.unwrap_or(5432),
        database: name(&DB_NAME),
        user: name(&DB_USER),
        password: sources.secret(&DB_PASSWORD, None)?,
        tls,
        pool: postgres::Target::POOL,
    })
}

/// How an instance of a console reaches the PostgreSQL of the settings; `None` where there is none.
pub(crate) fn postgres_connection(sources: &Sources) -> Result<Option<Connection>, Failure> {
    if let Some(url) = sources.secret(&DATABASE_URL, None)? {
        let connection_string = url.expose_secret().trim().to_owned();
        return Ok(Some(Connection { connection_string, username: None, password: None }));
    }
    let Some(host) = sources.text(&DB_HOST, None) else { return Ok(None) };
    let text = |setting: &Setting, usual: &str| sources.text(setting, None).unwrap_or_else(|| usual.into());
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let port = sources.port(&DB_PORT)?.unwrap_or(5432);
    let mode = sources.text(&DB_SSLMODE, None).map(|mode| format!("&sslmode={}", encoded(&mode)));
    let connection_string = format!(
        "postgres:///{}?host={}&port={port}{}",
        encoded(&text(&DB_NAME, "memcloud")),
        encoded(&host),
        mode.unwrap_or_default()
    );
    let password = sources.secret(&DB_PASSWORD, None)?.map(|password| password.expose_secret().to_owned());
    Ok(Some(Connection { connection_string, username: Some(text(&DB_USER, "memcloud")), password }))
}

fn authority(sources: &Sources, setting: &Setting) -> Result<Option<PathBuf>, Failure> {
    let Some(file) = sources.path(setting, None)? else { return Ok(None) };
    match std::fs::read(&file) {
        Ok(_) => Ok(Some(file)),
        Err(error) => {
            let what = format!("{}: {error}", file.display());
            Err(wrong(setting, &what, "name a readable PEM file with the authority's certificate".into()))
        }
    }
}

fn unusable(setting: &Setting, address: InvalidAddress) -> Failure {
    wrong(setting, &address.what, of_address(address.remedy))
}

fn wrong(setting: &Setting, what: &str, hint: String) -> Failure {
    Failure::usage(format!("{}: {what}", setting.name), hint)
}
