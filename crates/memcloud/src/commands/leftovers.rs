use crate::commands::{Context, show_list};
use crate::console_client::connect_to_console;
use crate::failure::{Exit, Failure};
use crate::settings::ConsoleFlags;
use memcloud_api::console::Leftover;

/// List folders, processes and ports that belong to no instance, and what to do about them
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    console: ConsoleFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, &args.console)?;
    let found = console.leftovers().await?;
    context.output.answer(&found, |output| show_list(&found.leftovers, line, "nothing is left over", output));
    Ok(Exit::Ok)
}

/// A leftover as one line: kind, place, reason, hint.
fn line(leftover: &Leftover) -> String {
    let Leftover { kind, place, reason, hint } = leftover;
    format!("{kind:<7}  {place}  {reason} (hint: {hint})")
}
