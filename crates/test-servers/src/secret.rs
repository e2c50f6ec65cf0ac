//! Passwords that break whatever does not quote them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A new password, full of characters that mean something in URLs, SQL, shells and settings files.
///
/// Each is another one, so that a client that reaches another test's server is turned away instead of misled.
pub(crate) fn password() -> String {
    format!(r#"p@ss:w/o#rd %'"\{:08x}"#, rand::random::<u32>())
}

/// The same text as part of a URL.
pub(crate) fn in_url(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
