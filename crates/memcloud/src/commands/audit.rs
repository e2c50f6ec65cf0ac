use memcloud_api::console::{AuditEntries, AuditEntry};

use crate::commands::{Context, day_and_time, show_list};
use crate::console_client::connect_to_console;
use crate::failure::{Exit, Failure};
use crate::settings::ConsoleFlags;

/// List what was changed, newest first: who, what, when and from where
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The most entries
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    console: ConsoleFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    /// The most entries in one request.
    const PAGE: usize = 100;
    let console = connect_to_console(&context.sources, &args.console)?;
    let mut listed = AuditEntries { entries: Vec::new(), next_cursor: None };
    loop {
        let limit = (args.limit - listed.entries.len()).min(PAGE);
        let page = console.audit(Some(limit), listed.next_cursor.as_deref()).await?;
        listed.entries.extend(page.entries);
        listed.next_cursor = page.next_cursor;
        if listed.next_cursor.is_none() || listed.entries.len() >= args.limit {
            break;
        }
    }
    context
        .output
        .answer(&listed, |output| show_list(&listed.entries, line, "nothing was changed yet", output));
    Ok(Exit::Ok)
}

/// An entry as one line: when, who, from where, what, to what.
fn line(entry: &AuditEntry) -> String {
    let AuditEntry { at, actor, from, action, subject, .. } = entry;
    let from = from.as_deref().unwrap_or("the console itself");
    format!("{}  {actor}  from {from}  {action}  {subject}", day_and_time(at))
}
