//! The instance that a command talks to.

use std::path::PathBuf;

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;

/// The flags of every command that talks to an instance.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ClientFlags {
    /// The instance to talk to (`MEMCLOUD_URL`; default: the one that 'up' runs, else `http://127.0.0.1:8080`)
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The key to send to it (`MEMCLOUD_API_KEY`)
    #[arg(long, value_name = "KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
}

/// The folder for what may be lost without harm, such as which instance is the current one.
pub(crate) fn state_dir() -> Option<PathBuf> {
    Xdg::new().ok()?.state_dir().map(|dir| dir.join("memcloud"))
}
