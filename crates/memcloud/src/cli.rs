//! The command line. The arguments of each command are in the command's own file.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use memcloud_domain::{one_line, visible};

use crate::commands::{
    add, audit, backup, chat, completions, doctor, export, forget, import, instances, keys, leftovers, list,
    model, operations, organizations, plan, search, serve, sessions, spaces, tokens, up, users, verify,
};

/// A lasting memory for AI agents: store what was said, find it again
#[derive(Debug, Parser)]
#[command(name = "memcloud", version, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Cli {
    /// Answer in JSON: data on stdout, an error as one line on stderr
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Say nothing but data and errors
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// The settings file (`MEMCLOUD_CONFIG`; default: ~/.config/memcloud/config.toml)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line. An error repeats what was typed in one line, without characters that steer a terminal.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        Self::try_parse().map_err(|error| {
            let shown = std::env::args_os().map(|typed| visible(&one_line(&typed.to_string_lossy())));
            Self::try_parse_from(shown).err().unwrap_or(error)
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(up::Args),
    Serve(serve::Args),
    Add(add::Args),
    Search(search::Args),
    Chat(chat::Args),
    List(list::Args),
    Forget(forget::Args),
    Import(import::Args),
    Export(export::Args),
    Backup(backup::Args),
    Spaces(spaces::Args),
    Sessions(sessions::Args),
    Keys(keys::Args),
    Instances(instances::Args),
    Plan(plan::Args),
    Verify(verify::Args),
    Operations(operations::Args),
    Leftovers(leftovers::Args),
    Users(users::Args),
    Organizations(organizations::Args),
    Tokens(tokens::Args),
    Audit(audit::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Model(model::Args),
}

#[cfg(test)]
mod tests;
