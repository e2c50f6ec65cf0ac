use memcloud_api::console::Accepted;

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
    let show = |ended: &Accepted| show_capabilities(&ended.instance, context);
    let followed = follow(&console, accepted, &args.wait, context, show).await?;
    if args.wait.no_wait {
        return Ok(followed);
    }
    // It runs as a memory also when its language model does not work.
    let checked = console.instance(&instance.id).await?.capabilities;
    Ok(if checked.iter().any(|capability| capability.state == "no") { Exit::Failed } else { followed })
}
