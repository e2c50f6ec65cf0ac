//! What strangers (`attacks`) and large requests (`large`) cost everyone else.

pub(in crate::bench) mod large;
mod others;
mod strangers;

pub(in crate::bench) use strangers::measure;
