//! Attacks on the real binary. They are a test binary of their own, and run one after the other: what others see while
//! thousands of connections are open would say nothing if other tests ran beside them.
#![expect(clippy::disallowed_methods, reason = "tests compose their own instances, and hold their own tasks")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall say where")]

mod connections;
#[path = "../cli/home.rs"]
#[expect(dead_code, reason = "the tests of the command line need more of it")]
mod home;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The turn of a test, which ends when this is dropped.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
