//! Which instance is the current one: the one that `up` runs. No secret is kept here.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::{private_file, settings};

/// The instance that commands talk to when none is named.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Current {
    /// Its address.
    pub(crate) url: String,
}

impl Current {
    /// The current instance, if there is one.
    pub(crate) fn read() -> Option<Self> {
        let text = std::fs::read_to_string(place()?).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Makes this the current instance.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let Some(place) = place() else { return Ok(()) };
        let text = serde_json::json!({"url": self.url}).to_string();
        private_file::replace(&place, text.as_bytes()).map_err(|error| Failure::file("write", &place, &error))
    }

    /// Forgets this instance when it has ended, unless another has replaced it.
    pub(crate) fn leave(&self) {
        if Self::read().as_ref() == Some(self)
            && let Some(place) = place()
        {
            // A stale file does no harm: no server answers at its address.
            let _ = std::fs::remove_file(place);
        }
    }
}

fn place() -> Option<PathBuf> {
    Some(settings::state_dir()?.join("current.json"))
}
