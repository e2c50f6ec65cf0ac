//! How this user reaches the console that `up` runs: a private file in the state directory, readable by its owner alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::{private_file, settings};

/// What the file holds. It has secrets, so it has no `Debug`.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct KeptAccess {
    /// The address of the console.
    pub(crate) url: String,
    /// The user's token for it.
    pub(crate) token: String,
    /// The user's tokens for this and other consoles that run at times, by the ids of their owners.
    #[serde(default)]
    pub(crate) tokens: BTreeMap<String, String>,
    /// The user's keys of its instances, by the ids of these.
    #[serde(default)]
    pub(crate) keys: BTreeMap<String, String>,
}

impl KeptAccess {
    /// What is kept, if anything is.
    pub(crate) fn read() -> Option<Self> {
        let text = std::fs::read_to_string(place()?).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps it.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let Some(place) = place() else { return Ok(()) };
        let text = serde_json::json!(self).to_string();
        private_file::replace(&place, text.as_bytes()).map_err(|error| Failure::file("write", &place, &error))
    }

    /// Keeps a key of an instance of the console at this address, if that is the one whose access is kept.
    pub(crate) fn keep_key(console: &str, instance: &str, key: &str) -> Result<(), Failure> {
        let Some(mut kept) = Self::read().filter(|kept| kept.url == console) else { return Ok(()) };
        kept.keys.insert(instance.to_owned(), key.to_owned());
        kept.write()
    }
}

fn place() -> Option<PathBuf> {
    Some(settings::state_dir()?.join("console.json"))
}
