//! The command line, through the real binary: a home of its own for each test, free ports, exit codes.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests compose their own instances, and hold their own tasks"
)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall say where")]

mod answers;
mod chatting;
mod damage;
mod databases;
mod disk_full;
mod doctor;
mod document;
mod examples;
mod home;
mod importing;
mod instances;
mod keys;
mod killing;
mod memory_bound;
mod overtaking;
mod readiness;
mod released;
mod secrets;
mod sessions;
mod settings;
mod snapshots;
mod spaces;
mod starting;
mod stopping;
mod talking;
mod terminal;
mod up;
mod with_model;
