//! Keys of instances. The instance makes and keeps them; the console asks it with a key of its own.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;
