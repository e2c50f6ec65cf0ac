//! One endpoint a file.

pub(crate) mod chat;
pub(crate) mod document;
pub(crate) mod health;
pub(crate) mod live;
pub(crate) mod measurements;
pub(crate) mod ready;
pub(crate) mod v1;
