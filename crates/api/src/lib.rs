//! The wire types of an instance's APIs: what the server reads and answers, and what a client sends and reads.
//!
//! One struct per body is the parser, the schema in the OpenAPI document and the client's type. Requests are read by
//! [`read`], and where they cannot be read by [`read_rest`], so that every problem of a body is reported with its place.

pub mod console;
mod error;
pub mod memmachine_v1;
pub mod native;
pub mod openai;
mod prefixed_id;
mod problem;
mod read;
mod unknown;
mod value;

pub use deserr::Deserr;
pub use error::{Detail, Error, StoredOfChat};
pub use prefixed_id::PrefixedId;
pub use problem::{Place, Problem, Step, excerpt};
pub use read::{MAX_PROBLEMS, Problems, read, read_rest};
pub use unknown::{unknown_field, unknown_fields};
pub use value::{Integer, Nullable, Object};
