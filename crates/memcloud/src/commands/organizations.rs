use clap::Subcommand;
use memcloud_api::console::NewOrganization;

use crate::commands::Context;
use crate::commands::users::show_link;
use crate::console_client::connect_to_console;
use crate::failure::{Exit, Failure};
use crate::settings::ConsoleFlags;

/// Create organizations: each has users, instances and an audit log of its own
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an organization with its first owner, and print the link that signs the owner in once
    Create {
        /// The name of the owner
        owner: String,
        #[command(flatten)]
        console: ConsoleFlags,
    },
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let Command::Create { owner, console } = args.command;
    let console = connect_to_console(&context.sources, &console)?;
    let created = console.create_organization(&NewOrganization { owner }).await?;
    context.output.answer(&created, |output| {
        show_link(&created.link, context);
        output.say(format!("organization {} created, with the owner '{}'", created.id, created.owner.name));
    });
    Ok(Exit::Ok)
}
