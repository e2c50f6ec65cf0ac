//! What every HTTP server of MemCloud shares.
//!
//! [`serve()`] puts a router on a listener. [`observe`] is the outermost layer: it gives every request an id, a span, an
//! access line and its metrics. [`from_this_machine`] is the guard of a server without keys. [`event_stream`] answers with
//! server-sent events; with an [`EventLog`] a client can resume them.
//!
//! [`count`] counts the memory that requests and answers take.
//!
//! Nothing here knows what a server serves.

mod access_line;
mod allowed;
mod body;
mod body_size;
mod deadline;
mod delayed_close;
mod descriptors;
mod error;
mod events;
mod exchange;
mod in_flight;
mod layers;
mod listener;
mod local_only;
mod metrics;
mod observe;
pub mod params;
mod peer;
mod places;
mod repeats;
mod request_id;
mod shared_errors;
mod strangers;

pub use allowed::{
    Admin, Allowed, NamesRights, Needs, OnMissingRight, Read, ReadAndWrite, Write, bearer, document,
};
pub use body::{BodyLimits, NoBody, TypedBody, UnknownFields};
pub use body_size::largest_request;
pub use descriptors::raise_descriptor_limit;
pub use error::{ApiError, Dialect, Hints, log_unavailable};
pub use events::{EventLog, event_stream, last_event_id};
pub use exchange::has_room;
pub use in_flight::{Counting, count, counted_json};
pub use layers::served;
pub use listener::{ServeOptions, serve};
pub use local_only::{NotLocal, from_this_machine, names_this_machine};
pub use metrics::Metrics;
pub use observe::{note_caller, note_found, note_stored, observe};
pub use peer::Peer;
pub use repeats::Repeats;
pub use request_id::RequestId;
pub use shared_errors::{
    HEAD_TOO_LARGE, Operations, SharedError, add_shared_errors, close_schemas, describe_shared_errors,
};
