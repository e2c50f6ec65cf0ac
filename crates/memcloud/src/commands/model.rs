use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::opening;
use crate::settings::DataFlags;

/// Manage the embedding model
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Fetch it into the data directory, unless it is there and intact; print its folder
    Fetch(DataFlags),
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let Act::Fetch(flags) = args.act;
    let dir = opening::fetch(&flags.model(&context.sources)?, context.output).await?;
    context.output.data(dir.display().to_string());
    Ok(Exit::Ok)
}
