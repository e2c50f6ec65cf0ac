//! A supervised connection to a database server.
//!
//! One supervisor task per database opens the client (most likely a pool), reopens it at a fixed age and after a
//! failure, and retries with exponential backoff while the database is down. Requests never connect: they use the
//! current client, or fail at once while there is none. When an operation takes long, the supervisor pings the
//! database on a separate connection. If the ping succeeds, the operation keeps the time it has; if not, all running
//! operations end at that moment. So a database that hangs holds up its first callers for a few seconds and later
//! callers not at all.

pub mod address;
mod connection;
mod connector;
mod health;
mod state;
mod supervisor;
mod timeouts;
mod timing;

pub use connection::Connection;
pub use connector::Connector;
pub use timeouts::Timeouts;
pub use timing::{round_trip, within};
