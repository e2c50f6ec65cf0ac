//! What tests may ask about the requests so far.

use serde_json::Value;

/// A request that reached an API.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The HTTP method.
    pub method: String,
    /// The host of the API, such as `run.googleapis.com`.
    pub host: String,
    /// The path below the host, without the leading slash.
    pub path: String,
    /// What follows the `?`.
    pub query: String,
    /// The body; `null` without one.
    pub body: Value,
    /// The name of the method in the description of the API; empty if there is none.
    pub id: &'static str,
    /// The status of the answer; 0 if the connection was closed instead.
    pub status: u16,
}
