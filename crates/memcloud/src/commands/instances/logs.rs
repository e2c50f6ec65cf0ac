use memcloud_api::console::LogPart;

use crate::commands::Context;
use crate::commands::instances::Named;
use crate::failure::{Exit, Failure};

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
    if args.follow {
        let mut parts = console.follow_log(&instance.id, from);
        while let Some(part) = parts.next().await? {
            print(&part, context);
        }
        return Ok(Exit::Ok);
    }
    loop {
        let part = console.log(&instance.id, from).await?;
        print(&part, context);
        if !args.all || from == Some(part.next) {
            return Ok(Exit::Ok);
        }
        from = Some(part.next);
    }
}

fn print(part: &LogPart, context: &Context) {
    for line in part.text.lines() {
        context.output.data(line);
    }
}
