//! The data directory and the local embedding model.

use std::path::PathBuf;

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;
use memcloud_instance::LocalModel;

use super::names::{DATA_DIR, KERNEL, MODEL_DIR, MODEL_HUB, OFFLINE, PYPI_INDEX, THREADS};
use super::source::Sources;
use crate::failure::Failure;

/// The flags of every command that runs or checks an instance.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct DataFlags {
    /// Where the instance keeps its data (`MEMCLOUD_DATA_DIR`; default: ~/.local/share/memcloud)
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The folder that holds the embedding model (`MEMCLOUD_MODEL_DIR`; default: found or fetched)
    #[arg(long, value_name = "DIR")]
    pub(crate) model_dir: Option<PathBuf>,
    /// Never fetch the embedding model; without one, search by words alone (`MEMCLOUD_OFFLINE`)
    #[arg(long)]
    pub(crate) offline: bool,
}

impl DataFlags {
    /// The data directory.
    pub(crate) fn data_dir(&self, sources: &Sources) -> Result<PathBuf, Failure> {
        if let Some(dir) = sources.path(&DATA_DIR, self.data_dir.as_deref())? {
            return Ok(dir);
        }
        Xdg::new().map(|xdg| xdg.data_dir().join("memcloud")).map_err(|_| {
            Failure::usage(
                "there is no home directory to keep the data in",
                format!("name a data directory with {} or {}", DATA_DIR.flag, DATA_DIR.name),
            )
        })
    }

    /// Where to find the embedding model.
    pub(crate) fn model(&self, sources: &Sources) -> Result<LocalModel, Failure> {
        Ok(LocalModel {
            dir: sources.path(&MODEL_DIR, self.model_dir.as_deref())?,
            data_dir: self.data_dir(sources)?,
            hub: sources.text(&MODEL_HUB, None),
            index: sources.text(&PYPI_INDEX, None),
            offline: sources.switch(&OFFLINE, self.offline)?,
            isa: sources.parsed(&KERNEL)?,
            threads: sources.parsed(&THREADS)?,
        })
    }
}
