//! HTTP of one memory instance.
//!
//! [`router()`] is the whole route table over an [`App`]; [`serve()`] puts it on a listener. The first API lives in
//! `api/v1`, one endpoint per file; what it answers is written down in the document of [`openapi_json`].
//!
//! This crate knows no database and no model: it turns requests into calls of
//! [`Memory`](memcloud_memory::Memory) and back.

mod allowed;
mod api;
mod app;
mod body;
mod failure;
mod fields;
mod guard;
mod hint;
mod keys;
mod metrics;
mod router;
mod serve;

pub use app::{App, Settings};
pub use hint::hint;
pub use keys::{ApiKeys, BadKey, Exposed, may_have_admin_key, require_key_beyond_loopback};
pub use router::{openapi_json, router};
pub use serve::{ServeOptions, serve};
