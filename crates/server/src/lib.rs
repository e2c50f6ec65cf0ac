//! HTTP of one memory instance.
//!
//! [`router()`] is the whole route table over an [`App`]; `memcloud_http::serve` puts it on a listener. Endpoints are in
//! `api`, one a file: `api/memmachine` and `api/openai` speak the wires of others, the rest is our own. The document of
//! [`openapi_json`] describes all of them.
//!
//! This crate knows no database and no model: it turns requests into calls of
//! [`Memory`](memcloud_memory::Memory) and back.

mod api;
mod app;
mod guard;
mod hint;
mod keys;
mod metrics;
mod params;
mod router;
mod unknown;

pub use api::profile::queue::profile_queue;
pub use app::{App, Settings};
pub use hint::hint;
pub use keys::{
    ApiKeys, BadKey, Exposed, MIN_KEY_CHARACTERS, may_have_admin_key, require_key_beyond_loopback,
};
pub use memcloud_http::largest_request;
pub use router::{openapi_json, router};
