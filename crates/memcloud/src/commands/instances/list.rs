use crate::commands::instances::line;
use crate::commands::{Context, show_list};
use crate::console_client::{all_instances, connect_to_console};
use crate::failure::{Exit, Failure};
use crate::settings::ConsoleFlags;

/// List the instances by name
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    console: ConsoleFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, &args.console)?;
    let listed = all_instances(&console).await?;
    context.output.answer(&listed, |output| show_list(&listed.instances, line, "no instances", output));
    Ok(Exit::Ok)
}
