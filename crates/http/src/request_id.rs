//! Names a request, so that its caller, the log and an operator speak of the same one.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries the id, in requests and in answers.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const MAX_BYTES: usize = 128;

/// The id of a request: the one that its caller sent, or one made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the headers carry, if it has 1 to 128 letters, digits, `-`, `_`, `.`, `:`, `/`, `+` or `=`. Otherwise a
    /// random one: what else a caller sends must not reach the log.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(HEADER).filter(|id| is_sane(id.as_bytes()));
        Self(sent.cloned().unwrap_or_else(random))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

fn is_sane(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    (1..=MAX_BYTES).contains(&id.len()) && id.iter().all(is_plain)
}

fn random() -> HeaderValue {
    // Hexadecimal digits are always a header's value.
    HeaderValue::from_str(&format!("{:032x}", rand::random::<u128>()))
        .unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(sent: &[u8]) -> String {
        let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(sent).unwrap())]);
        RequestId::of(&headers).to_string()
    }

    #[test]
    fn a_sane_id_is_kept_and_others_are_replaced() {
        for sane in ["a", "0190a0a0-0000-7000-8000-000000000000", "Root=1-67891233:a/b+c_d.e"] {
            assert_eq!(id_of(sane.as_bytes()), sane);
        }
        let long = "x".repeat(129);
        for other in ["", " ", "a b", "a\tb", "{\"a\":1}", "é", &long] {
            let made = id_of(other.as_bytes());
            assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{other}: {made}");
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
