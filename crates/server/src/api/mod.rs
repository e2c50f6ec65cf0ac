//! One endpoint a file.

pub(crate) mod chat;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod live;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod ready;
pub(crate) mod v1;
