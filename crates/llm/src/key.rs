//! The key of an endpoint: sent in a header, never shown.

use std::fmt;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// Shorter keys are words such as `none` or `ollama`, for endpoints that require some key. They are not secret, and
/// removing them from an endpoint's message would only garble it.
const SECRET_FROM: usize = 8;

const HIDDEN: &[u8] = b"[key]";

/// A key and the header that it is sent in.
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
    /// A key in the header that Azure or all others expect; `None` unless it is printable ASCII.
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

    /// A text of the endpoint without the key.
    pub(crate) fn hide(&self, text: Bytes) -> Bytes {
        let secret = self.secret.expose_secret().as_bytes();
        if secret.len() < SECRET_FROM || secret.len() > text.len() {
            return text;
        }
        let (mut shown, mut rest) = (Vec::with_capacity(text.len()), &text[..]);
        while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
            shown.extend_from_slice(&rest[..at]);
            shown.extend_from_slice(HIDDEN);
            rest = &rest[at + secret.len()..];
        }
        if shown.is_empty() {
            return text;
        }
        shown.extend_from_slice(rest);
        shown.into()
    }
}
