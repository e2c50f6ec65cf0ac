use crate::commands::Context;
use crate::commands::instances::{Named, show_capabilities};
use crate::failure::{Exit, Failure};
use crate::following::{WaitFlags, follow};

/// Check that an instance does what it is for, and show what was seen
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    wait: WaitFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let (console, instance) = args.named.find(context).await?;
    let accepted = console.verify(&instance.id).await?;
    follow(&console, accepted, &args.wait, context, |ended| show_capabilities(&ended.instance, context)).await
}
