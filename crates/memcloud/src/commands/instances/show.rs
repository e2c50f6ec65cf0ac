use memcloud_api::console::Instance;

use crate::commands::instances::{Named, because, show_capabilities};
use crate::commands::{Context, day_and_time};
use crate::failure::{Exit, Failure};

/// Show an instance, and what it was seen to do
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let (_, instance) = args.named.find(context).await?;
    context.output.answer(&instance, |output| {
        for (name, value) in rows(&instance) {
            output.data(format!("{name:<16}  {value}"));
        }
        show_capabilities(&instance, context);
    });
    Ok(Exit::Ok)
}

fn rows(instance: &Instance) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("name", instance.name.clone()),
        ("id", instance.id.clone()),
        ("state", instance.state.clone()),
        ("wanted", instance.wanted.clone()),
    ];
    rows.extend(instance.reason.as_ref().map(|reason| ("reason", because(reason))));
    rows.extend(instance.url.clone().map(|url| ("address", url)));
    rows.extend([
        ("target", instance.target.clone()),
        ("topology", instance.topology.clone()),
        ("model", if instance.has_llm { "a language model is set" } else { "no language model" }.to_owned()),
    ]);
    rows.extend(instance.version.clone().map(|version| ("version", version)));
    rows.extend([
        ("created", day_and_time(&instance.created_at)),
        ("changed", day_and_time(&instance.changed_at)),
    ]);
    rows
}
