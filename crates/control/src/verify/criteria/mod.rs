//! The criteria, one a file.

pub(super) mod chat;
pub(super) mod no_timeout;
pub(super) mod other_session;
pub(super) mod persistence;
pub(super) mod profile;
pub(super) mod search;
pub(super) mod store;
