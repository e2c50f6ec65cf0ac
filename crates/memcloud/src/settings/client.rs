//! The instance or the console that a command talks to.

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
    /// The instance of the console with this name; a key for you is made once and kept
    #[arg(long, value_name = "NAME", conflicts_with = "url")]
    pub(crate) instance: Option<String>,
    #[command(flatten)]
    pub(crate) console: ConsoleFlags,
}

/// The flags of every command that talks to a console.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ConsoleFlags {
    /// The console to talk to (`MEMCLOUD_CONSOLE_URL`; default: the one that 'up' runs, else `http://127.0.0.1:8090`)
    #[arg(long, value_name = "URL")]
    pub(crate) console: Option<String>,
}

/// The folder for what may be lost without harm, such as which instance is the current one.
pub(crate) fn state_dir() -> Option<PathBuf> {
    Xdg::new().ok()?.state_dir().map(|dir| dir.join("memcloud"))
}
