//! The APIs of `MemMachine`.

pub(crate) mod v1;

/// Where unchanged clients of the first API point their base URL when they must get its own answer shapes.
pub(crate) const COMPATIBLE: &str = "/memmachine";
