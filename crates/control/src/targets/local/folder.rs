use std::path::{Path, PathBuf};

use crate::InstanceId;

/// The folder of an instance. `<console data>/instances/<id>`.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Where all of them are.
    pub(super) fn all(console_data: &Path) -> PathBuf {
        console_data.join("instances")
    }

    /// That of an instance.
    pub(super) fn of(console_data: &Path, id: &InstanceId) -> Self {
        Self(Self::all(console_data).join(id.as_str()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The data directory of an instance that was given none.
    pub(super) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// By which its process is known.
    pub(super) fn process_file(&self) -> PathBuf {
        self.0.join("process.json")
    }
}
