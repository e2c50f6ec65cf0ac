use clap::Subcommand;
use memcloud_api::console::{Operation, Operations, Step};
use memcloud_client::{Error, OperationsQuery};
use memcloud_domain::Timestamp;

use crate::commands::{Context, day_and_time, report_done, show_list};
use crate::console_client::{connect_to_console, instance_named};
use crate::failure::{Exit, Failure};
use crate::following::{WaitFlags, outcome, to_end};
use crate::settings::ConsoleFlags;

/// List, show, cancel and retry what is done to instances
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the operations, newest first
    List(List),
    /// Show an operation with its steps
    Show(Id),
    /// Ask an operation to stop; what it has done is undone
    Cancel(Id),
    /// Run an operation again that failed or was cancelled, from the first step that is not done
    Retry {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        wait: WaitFlags,
    },
}

#[derive(clap::Args, Debug)]
struct List {
    /// Only those of this instance
    #[arg(value_name = "NAME")]
    instance: Option<String>,
    /// The most operations
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    console: ConsoleFlags,
}

/// An operation by its id.
#[derive(clap::Args, Debug)]
struct Id {
    /// The id that 'operations list' prints
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    console: ConsoleFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.command {
        Command::List(wanted) => list(wanted, context).await,
        Command::Show(Id { id, console }) => {
            let console = connect_to_console(&context.sources, &console)?;
            show(&console.operation(&id).await.map_err(unknown)?, context);
            Ok(Exit::Ok)
        }
        Command::Cancel(Id { id, console }) => {
            let console = connect_to_console(&context.sources, &console)?;
            let asked = console.cancel(&id).await.map_err(unknown)?;
            Ok(report_done(&asked, "asked to stop; 'memcloud operations show' says when it has", context))
        }
        Command::Retry { id, wait } => retry(&id, &wait, context).await,
    }
}

fn unknown(error: Error) -> Failure {
    Failure::listing(error, "'memcloud operations list' lists the operations")
}

async fn list(wanted: List, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, &wanted.console)?;
    let instance = match &wanted.instance {
        Some(name) => Some(instance_named(&console, name).await?.id),
        None => None,
    };
    let query = OperationsQuery { instance, limit: Some(wanted.limit), cursor: None };
    let listed: Operations = console.operations(&query).await?;
    context.output.answer(&listed, |output| show_list(&listed.operations, line, "no operations", output));
    Ok(Exit::Ok)
}

/// An operation as one line: id, kind, state, instance, begin, who began it, reason.
fn line(operation: &Operation) -> String {
    let Operation { id, kind, state, instance, created_at, actor, reason, .. } = operation;
    let reason = reason.as_ref().map(|reason| format!("  {}", reason.message)).unwrap_or_default();
    format!(
        "{id}  {kind:<8}  {state:<9}  instance {instance}  {}  by {actor}{reason}",
        day_and_time(created_at)
    )
}

fn show(operation: &Operation, context: &Context) {
    context.output.answer(operation, |output| {
        output.data(line(operation));
        for step in &operation.steps {
            output.data(step_line(step));
        }
        if let Some(reason) = &operation.reason {
            output.data(format!("hint: {}", reason.hint));
        }
    });
}

/// A step as one line: state, time, title, reason.
fn step_line(step: &Step) -> String {
    let moment = |at: &Option<String>| at.as_deref()?.parse::<Timestamp>().ok();
    // A step that is undone ended long after it had begun.
    let took = moment(&step.started_at).zip(moment(&step.ended_at)).filter(|_| step.state != "undone");
    let took = took.map(|(from, to)| format!("{:.1} s", (to.as_micros() - from.as_micros()) as f64 / 1e6));
    let reason = step.reason.as_ref().map(|reason| format!(": {}", reason.message)).unwrap_or_default();
    format!("  {:<8}  {:>7}  {}{reason}", step.state, took.unwrap_or_default(), step.title)
}

async fn retry(id: &Id, wait: &WaitFlags, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, &id.console)?;
    let begun = console.retry(&id.id).await.map_err(unknown)?;
    if wait.no_wait {
        return Ok(report_done(
            &begun,
            "begun again; 'memcloud operations show' says what becomes of it",
            context,
        ));
    }
    let ended = to_end(&console, &begun, context).await?;
    show(&ended, context);
    outcome(&ended)?;
    Ok(Exit::Ok)
}
