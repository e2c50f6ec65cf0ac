use crate::commands::Context;
use crate::commands::instances::{Named, line};
use crate::failure::{Exit, Failure};
use crate::following::{WaitFlags, follow};

/// Stop an instance and start it again, and verify it
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    wait: WaitFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let (console, instance) = args.named.find(context).await?;
    let accepted = console.restart(&instance.id).await?;
    follow(&console, accepted, &args.wait, context, |ended| context.output.data(line(&ended.instance))).await
}
