//! HTTP of the control plane.
//!
//! [`router()`] is the whole route table over an [`App`]; `memcloud_http::serve` puts it on a listener. Endpoints are in
//! `api`, one a file. The document of [`openapi_json`] describes all of them.
//!
//! This crate turns requests into calls of [`Control`](memcloud_control::Control) and
//! [`Accounts`](memcloud_control::access::Accounts), and back. It knows no store and no target.

mod api;
mod app;
mod error;
mod guard;
mod hint;
mod passwords;
mod router;
mod sites;
mod watch;

pub use app::{App, Parts, Settings};
pub use memcloud_http::largest_request;
pub use router::{openapi_json, router};
