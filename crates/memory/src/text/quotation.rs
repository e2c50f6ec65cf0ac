//! What the language model is given of stored texts: quotations that it cannot take for anything else.

use memcloud_domain::visible_json;
use serde_json::Value;

/// A value as JSON in which no mark can begin, no other line, and no text that people do not see.
pub(crate) fn quoted(value: impl Into<Value>) -> String {
    visible_json(&value.into().to_string().replace('<', "\\u003c"))
}
