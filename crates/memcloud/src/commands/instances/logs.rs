use std::time::Duration;

use crate::commands::Context;
use crate::commands::instances::Named;
use crate::failure::{Exit, Failure};

/// How often a log that is followed is read.
const EVERY: Duration = Duration::from_millis(500);

/// Print the log of an instance: its end, or all of it
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
    /// All of the log that is kept, not only its end
    #[arg(long)]
    all: bool,
    /// Go on with what is logged from now on, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let (console, instance) = args.named.find(context).await?;
    let mut from = args.all.then_some(0);
    loop {
        let part = console.log(&instance.id, from).await?;
        for line in part.text.lines() {
            context.output.data(line);
        }
        let at_end = from == Some(part.next) || (from.is_none() && !args.all);
        from = Some(part.next);
        if at_end && !args.follow {
            return Ok(Exit::Ok);
        }
        if part.text.is_empty() {
            tokio::time::sleep(EVERY).await;
        }
    }
}
