use memcloud_api::console::DeleteInstance;

use crate::commands::Context;
use crate::commands::instances::Named;
use crate::failure::{Exit, Failure};
use crate::following::{WaitFlags, follow};
use crate::output;

/// Remove an instance; its data stay unless they are to be deleted
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
    /// The name once more, to confirm; asked for on a terminal
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// What happens to its data
    #[arg(long, value_enum, default_value_t = Data::Keep)]
    data: Data,
    #[command(flatten)]
    wait: WaitFlags,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    /// They stay where they are
    Keep,
    /// They are deleted for good
    Delete,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let (console, instance) = args.named.find(context).await?;
    let name = &instance.name;
    let (data, what) = match args.data {
        Data::Keep => ("keep", "The data stay"),
        Data::Delete => ("delete", "The data are deleted for good"),
    };
    let question = format!("Remove the instance '{name}'? {what}. Type its name to confirm:");
    let confirm = args.confirm.or_else(|| output::ask_text(&question)).ok_or_else(|| {
        let what = "refusing to remove an instance without confirmation";
        Failure::usage(what, format!("pass --confirm {name}"))
    })?;
    if confirm != *name {
        let what = format!("'{confirm}' is not the name of the instance; nothing was removed");
        return Err(Failure::usage(what, format!("to remove it, confirm with its name, '{name}'")));
    }
    let how = DeleteInstance { confirm, data: Some(data.to_owned()) };
    let accepted = console.delete_instance(&instance.id, &how).await?;
    let said = match args.data {
        Data::Keep => format!("'{name}' is removed; 'memcloud leftovers' lists the data that stay"),
        Data::Delete => format!("'{name}' is removed, with its data"),
    };
    follow(&console, accepted, &args.wait, context, |_| context.output.say(said)).await
}
