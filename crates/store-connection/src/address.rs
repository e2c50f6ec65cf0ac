//! Addresses of databases, as settings give them: read without telling anybody what may be a password.

use thiserror::Error;
use url::Url;

/// Why an address leads nowhere, and what to do about it. Neither holds a password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what}")]
pub struct BadTarget {
    /// What is wrong, to be read after the name of the setting.
    pub what: String,
    /// What to do.
    pub mend: String,
}

impl BadTarget {
    /// What is wrong, and what to do.
    pub fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }
}

/// Reads an address that may hold a user and a password. `form` says how it is to be written.
pub fn read(text: &str, form: &str) -> Result<Url, BadTarget> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    // After the part that names the host there is no '@': some of what would be taken for a host or a path belongs to a
    // password, and must not be told.
    if rest.find(['/', '?', '#']).is_some_and(|end| rest[end..].contains('@')) {
        let what = "it has an '@' where none can be: a special character of the user or password is not written as %XX";
        return Err(BadTarget::new(what, form));
    }
    Url::parse(text).map_err(|error| BadTarget::new(error.to_string(), form))
}

/// A part of an address in which special characters are written as `%XX`.
pub fn decoded(part: &str, form: &str) -> Result<String, BadTarget> {
    let decoded = percent_encoding::percent_decode_str(part).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| BadTarget::new("a part of it is not UTF-8", form))
}
