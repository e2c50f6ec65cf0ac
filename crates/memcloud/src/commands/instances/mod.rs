mod clone;
mod create;
mod delete;
mod keys;
mod list;
mod logs;
mod restart;
mod show;
mod start;
mod stop;
mod upgrade;

use clap::Subcommand;
use memcloud_api::console::{Instance, Reason};
use memcloud_client::Console;

use crate::commands::Context;
use crate::console_client::{connect_to_console, instance_named};
use crate::failure::{Exit, Failure};
use crate::settings::ConsoleFlags;

pub(crate) use create::{NewInstanceFlags, secret_of};

/// Create, watch and remove the instances of a console
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Args),
    List(list::Args),
    Show(show::Args),
    Start(start::Args),
    Stop(stop::Args),
    Restart(restart::Args),
    Upgrade(upgrade::Args),
    Clone(clone::Args),
    Delete(delete::Args),
    Logs(logs::Args),
    Keys(keys::Args),
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.command {
        Command::Create(args) => create::run(args, context).await,
        Command::List(args) => list::run(args, context).await,
        Command::Show(args) => show::run(args, context).await,
        Command::Start(args) => start::run(args, context).await,
        Command::Stop(args) => stop::run(args, context).await,
        Command::Restart(args) => restart::run(args, context).await,
        Command::Upgrade(args) => upgrade::run(args, context).await,
        Command::Clone(args) => clone::run(args, context).await,
        Command::Delete(args) => delete::run(args, context).await,
        Command::Logs(args) => logs::run(args, context).await,
        Command::Keys(args) => keys::run(args, context).await,
    }
}

/// An instance by its name.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Named {
    /// The instance
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) console: ConsoleFlags,
}

impl Named {
    /// The console, and the instance as it has it.
    pub(crate) async fn find(&self, context: &Context) -> Result<(Console, Instance), Failure> {
        let console = connect_to_console(&context.sources, &self.console)?;
        let instance = instance_named(&console, &self.name).await?;
        Ok((console, instance))
    }
}

/// An instance as one line: name, state, topology, address, and why it or something of it does not work.
pub(crate) fn line(instance: &Instance) -> String {
    let Instance { name, state, topology, url, reason, capabilities, .. } = instance;
    let url = url.as_deref().unwrap_or("-");
    let missing = capabilities.iter().find(|capability| capability.state == "no");
    let reason = reason.as_ref().or(missing.and_then(|capability| capability.reason.as_ref()));
    let reason = reason.map(|reason| format!("  {}", reason.message)).unwrap_or_default();
    format!("{name:<16}  {state:<9}  {topology:<8}  {url}{reason}")
}

/// A reason with its hint, as one text.
fn because(reason: &Reason) -> String {
    format!("{} (hint: {})", reason.message, reason.hint)
}

/// What an instance was seen to do, a line for each capability.
pub(crate) fn show_capabilities(instance: &Instance, context: &Context) {
    for capability in &instance.capabilities {
        let state = capability.state.replace('_', " ");
        let detail = match &capability.reason {
            Some(reason) => because(reason),
            None => capability.checked_at.as_deref().map(crate::commands::day_and_time).unwrap_or_default(),
        };
        let line = format!("{:<16}  {state:<11}  {detail}", capability.name);
        context.output.data(line.trim_end());
    }
}
