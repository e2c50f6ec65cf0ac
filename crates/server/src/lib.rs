//! HTTP of one memory instance.
