//! Passwords that break code which does not quote them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A new password, full of characters with special meanings in URLs, SQL, shells and settings files.
///
/// Each password is unique, so that a client that reaches another test's server is rejected.
pub(crate) fn password() -> String {
    format!(r#"p@ss:w/o#rd %'"\{:08x}"#, rand::random::<u32>())
}

/// The same text as part of a URL.
pub(crate) fn in_url(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
