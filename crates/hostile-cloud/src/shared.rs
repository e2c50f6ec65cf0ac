//! The state of a cloud, which its servers share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::state::State;

/// The state of a cloud.
pub(crate) struct Shared(Mutex<State>);

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self(Mutex::new(state))
    }

    /// The state, for as long as the guard lives. No process is started and nothing is awaited with it.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
