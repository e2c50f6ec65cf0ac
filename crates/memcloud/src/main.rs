//! The memcloud binary: a lasting memory for AI agents.
//!
//! [`cli`] is the command line, each command is a file in [`commands`], [`settings`] is where every setting comes
//! from, and [`output`] is the only place that prints.

mod allocator;
mod api_keys;
mod cli;
mod client;
mod commands;
mod connections;
mod console;
mod console_client;
mod current_instance;
mod failure;
mod following;
mod hint;
mod kept_access;
mod listen;
mod logging;
mod opening;
mod output;
mod permissions;
mod private_file;
mod settings;
mod signals;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::settings::Sources;

fn main() -> ExitCode {
    allocator::free_soon();
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error).into(),
    };
    let output = Output { json: cli.json, quiet: cli.quiet };
    let exit = run(cli, output).unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit
    });
    exit.into()
}

fn run(cli: Cli, output: Output) -> Result<Exit, Failure> {
    let sources = Sources::load(cli.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(format!("cannot start threads: {error}"), "raise the limit of processes for this user")
    })?;
    let exit = runtime.block_on(dispatch(cli.command, &Context { output, sources }));
    // What still blocks a thread is not waited for: everything durable is durable already.
    runtime.shutdown_background();
    exit
}

async fn dispatch(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Up(args) => commands::up::run(args, context).await,
        Command::Serve(args) => commands::serve::run(args, context).await,
        Command::Add(args) => commands::add::run(args, context).await,
        Command::Search(args) => commands::search::run(args, context).await,
        Command::Chat(args) => commands::chat::run(args, context).await,
        Command::List(args) => commands::list::run(args, context).await,
        Command::Forget(args) => commands::forget::run(args, context).await,
        Command::Import(args) => commands::import::run(args, context).await,
        Command::Export(args) => commands::export::run(args, context).await,
        Command::Backup(args) => commands::backup::run(args, context).await,
        Command::Spaces(args) => commands::spaces::run(args, context).await,
        Command::Sessions(args) => commands::sessions::run(args, context).await,
        Command::Users(args) => commands::users::run(args, context).await,
        Command::Organizations(args) => commands::organizations::run(args, context).await,
        Command::Keys(args) => commands::keys::run(args, context).await,
        Command::Instances(args) => commands::instances::run(args, context).await,
        Command::Plan(args) => commands::plan::run(args, context).await,
        Command::Verify(args) => commands::verify::run(args, context).await,
        Command::Operations(args) => commands::operations::run(args, context).await,
        Command::Leftovers(args) => commands::leftovers::run(args, context).await,
        Command::Tokens(args) => commands::tokens::run(args, context).await,
        Command::Audit(args) => commands::audit::run(args, context).await,
        Command::Doctor(args) => commands::doctor::run(args, context).await,
        Command::Model(args) => commands::model::run(args, context).await,
        Command::Completions(args) => Ok(commands::completions::run(&args, context)),
    }
}
