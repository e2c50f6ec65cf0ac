//! The key of an endpoint: sent in a header, shown nowhere.

use std::fmt;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// Shorter keys are words such as `none` or `ollama` for endpoints that want any key at all. They are no secrets, and
/// taking them out of what an endpoint says would only garble it.
const SECRET_FROM: usize = 8;

const HIDDEN: &[u8] = b"[key]";

/// A key, and the header that it is sent in.
#[derive(Clone)]
pub(crate) struct Key {
    secret: SecretString,
    header: HeaderName,
    value: HeaderValue,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[key] in {}", self.header)
    }
}

impl Key {
    /// A key as Azure or as everybody else wants it; `None` if it is none that anybody gives out.
    pub(crate) fn new(secret: SecretString, for_azure: bool) -> Option<Self> {
        let text = secret.expose_secret();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (header, value) = if for_azure {
            (HeaderName::from_static("api-key"), HeaderValue::from_str(text))
        } else {
            (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {text}")))
        };
        let mut value = value.ok()?;
        value.set_sensitive(true);
        Some(Self { secret, header, value })
    }

    pub(crate) fn header(&self) -> (HeaderName, HeaderValue) {
        (self.header.clone(), self.value.clone())
    }

    /// What an endpoint said, without the key: some repeat it when they refuse it.
    pub(crate) fn hide(&self, said: Bytes) -> Bytes {
        let secret = self.secret.expose_secret().as_bytes();
        if secret.len() < SECRET_FROM || secret.len() > said.len() {
            return said;
        }
        let (mut shown, mut rest) = (Vec::with_capacity(said.len()), &said[..]);
        while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
            shown.extend_from_slice(&rest[..at]);
            shown.extend_from_slice(HIDDEN);
            rest = &rest[at + secret.len()..];
        }
        if shown.is_empty() {
            return said;
        }
        shown.extend_from_slice(rest);
        shown.into()
    }
}
