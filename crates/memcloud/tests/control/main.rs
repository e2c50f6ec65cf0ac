//! The control plane's target `local` with the real program: each console has a folder of its own, instances are processes.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests compose their own consoles, and hold their own tasks"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod cloning;
mod connections;
mod console;
mod databases;
mod faults;
mod killed_console;
mod kills;
mod lifecycle;
mod up;
mod upgrades;
mod verifying;
