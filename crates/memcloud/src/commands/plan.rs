use crate::commands::Context;
use crate::commands::instances::NewInstanceFlags;
use crate::console_client::connect_to_console;
use crate::failure::{Exit, Failure};
use crate::settings::ConsoleFlags;

/// Show what would be done to make an instance, and what it would cost; nothing is done
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    new: NewInstanceFlags,
    #[command(flatten)]
    console: ConsoleFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, &args.console)?;
    let plan = console.plan(&args.new.instance(context)?).await?;
    context.output.answer(&plan, |output| {
        for (number, step) in (1..).zip(&plan.steps) {
            let after = if step.after.is_empty() {
                String::new()
            } else {
                format!("  after {}", step.after.join(", "))
            };
            output.data(format!("{number:>2}  {:<20}  {}{after}", step.name, step.title));
        }
        output.say(format!(
            "an instance '{}' on '{}', {}: {:.2} US dollars a month",
            plan.name, plan.target, plan.topology, plan.monthly_cost_usd
        ));
    });
    Ok(Exit::Ok)
}
