//! Whether the instance works.

pub(crate) mod live;
pub(crate) mod ready;
pub(crate) mod summary;
