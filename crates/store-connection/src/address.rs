//! Addresses of databases in settings, parsed without showing anything that may be a password.

use thiserror::Error;
use url::Url;

/// Why an address is not usable, and what to do. Neither holds a password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what}")]
pub struct InvalidAddress {
    /// What is wrong; reads on after the name of the setting.
    pub what: String,
    /// What to do.
    pub remedy: Remedy,
}

/// What to do about an address that is not usable. Settings are named by the program that has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// What this sentence says.
    Text(String),
    /// Give the port apart from the host.
    SeparatePort,
    /// Give the password, which the address lacks.
    Password,
}

impl From<&str> for Remedy {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl InvalidAddress {
    /// What is wrong, and what to do.
    pub fn new(what: impl Into<String>, remedy: impl Into<Remedy>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// Parses an address that may hold a user and a password. `form` is the hint: how to write one.
pub fn read(text: &str, form: &str) -> Result<Url, InvalidAddress> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    // An '@' after the authority means that a part of a password would be taken for the host or path. Such text must not
    // be shown.
    if rest.find(['/', '?', '#']).is_some_and(|end| rest[end..].contains('@')) {
        let what = "it has an '@' in the wrong place: special characters of the user and password must be written as %XX";
        return Err(InvalidAddress::new(what, form));
    }
    Url::parse(text).map_err(|error| InvalidAddress::new(error.to_string(), form))
}

/// Decodes the `%XX` sequences of a part of an address.
pub fn decoded(part: &str, form: &str) -> Result<String, InvalidAddress> {
    let decoded = percent_encoding::percent_decode_str(part).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| InvalidAddress::new("a part of it is not UTF-8", form))
}
