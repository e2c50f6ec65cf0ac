//! The APIs of `MemMachine`.

pub(crate) mod v1;
