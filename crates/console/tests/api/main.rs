//! The console's API, called as clients call it: the router over a real store, with a target whose steps tests script.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a test fails it")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test owns its tasks, its clock and its environment"
)]

mod access;
mod document;
mod instances;
mod keys;
mod operations;
mod scripted;
mod secrets;
mod signing_in;
mod sites;
mod sockets;
mod test_console;
mod walk;
