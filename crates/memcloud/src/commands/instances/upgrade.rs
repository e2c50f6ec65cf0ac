use std::path::PathBuf;

use memcloud_api::console::Upgrade;

use crate::commands::Context;
use crate::commands::instances::{Named, line};
use crate::failure::{Exit, Failure};
use crate::following::{WaitFlags, follow};

/// Move an instance to another program: a snapshot first, and back to it when the verification fails
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
    /// A `memcloud` program on the console's machine (default: the console's own)
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    #[command(flatten)]
    wait: WaitFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let (console, instance) = args.named.find(context).await?;
    let to = Upgrade { program: args.program.map(|program| program.display().to_string()) };
    let accepted = console.upgrade(&instance.id, &to).await?;
    follow(&console, accepted, &args.wait, context, |ended| context.output.data(line(&ended.instance))).await
}
