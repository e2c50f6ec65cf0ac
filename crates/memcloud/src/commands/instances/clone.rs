use memcloud_api::console::Clone as CloneInstance;

use crate::commands::Context;
use crate::commands::instances::{Named, line};
use crate::failure::{Exit, Failure};
use crate::following::{WaitFlags, follow};

/// Make an instance from a copy of another's data
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
    /// The name of the new instance
    #[arg(value_name = "NEW NAME")]
    new: String,
    #[command(flatten)]
    wait: WaitFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let (console, instance) = args.named.find(context).await?;
    let accepted = console.clone_instance(&instance.id, &CloneInstance { name: args.new }).await?;
    follow(&console, accepted, &args.wait, context, |ended| context.output.data(line(&ended.instance))).await
}
