use clap::Subcommand;
use memcloud_api::native::NewKey;
use memcloud_domain::Right;

use crate::commands::instances::Named;
use crate::commands::keys::{line, moment};
use crate::commands::{Context, report_done, show_list};
use crate::failure::{Exit, Failure};

/// Create, list and revoke the keys of an instance
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a key, and print it; it cannot be shown again
    Create(Create),
    /// List the keys without their secrets
    List {
        #[command(flatten)]
        named: Named,
    },
    /// Revoke a key for good, now or at a later moment
    Revoke(Revoke),
}

#[derive(clap::Args, Debug)]
struct Create {
    #[command(flatten)]
    named: Named,
    /// What the key is for
    #[arg(value_name = "PURPOSE")]
    purpose: String,
    /// What it permits: read, write or admin; may be repeated
    #[arg(long = "right", value_name = "RIGHT", required = true, value_parser = str::parse::<Right>)]
    rights: Vec<Right>,
    /// A group that it opens; may be repeated (default: all groups)
    #[arg(long = "space", value_name = "GROUP")]
    spaces: Vec<String>,
    /// When it ends: a time span such as 30d or 12h, or a date (default: never)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    expires: Option<String>,
}

#[derive(clap::Args, Debug)]
struct Revoke {
    #[command(flatten)]
    named: Named,
    /// The id that 'instances keys list' prints
    #[arg(value_name = "ID")]
    id: String,
    /// When: a time span such as 2h, until which another key replaces it, or a date (default: now)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    at: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.command {
        Command::Create(new) => create(new, context).await,
        Command::List { named } => list(&named, context).await,
        Command::Revoke(key) => revoke(&key, context).await,
    }
}

async fn create(new: Create, context: &Context) -> Result<Exit, Failure> {
    let (console, instance) = new.named.find(context).await?;
    let key = NewKey {
        name: new.purpose,
        rights: new.rights.iter().map(|right| right.as_str().into()).collect(),
        spaces: Some(new.spaces).filter(|spaces| !spaces.is_empty()),
        expires_at: new.expires,
    };
    let created = console.create_instance_key(&instance.id, &key).await?;
    context.output.answer(&created, |output| {
        output.data(&created.key);
        output.say(format!("key {} created; it cannot be shown again", created.about.id));
    });
    Ok(Exit::Ok)
}

async fn list(named: &Named, context: &Context) -> Result<Exit, Failure> {
    let (console, instance) = named.find(context).await?;
    let listed = console.instance_keys(&instance.id).await?;
    context.output.answer(&listed, |output| show_list(&listed.keys, line, "no keys", output));
    Ok(Exit::Ok)
}

async fn revoke(key: &Revoke, context: &Context) -> Result<Exit, Failure> {
    let (console, instance) = key.named.find(context).await?;
    let hint = format!("'memcloud instances keys list {}' lists the keys", instance.name);
    let revoked = console.revoke_instance_key(&instance.id, &key.id, key.at.as_deref()).await;
    let revoked = revoked.map_err(|error| Failure::listing(error, &hint))?;
    let when = key.at.as_deref().map_or_else(|| "revoked".to_owned(), |at| format!("is revoked at {at}"));
    Ok(report_done(&revoked, &format!("key {} ({}) {when}", revoked.id, revoked.name), context))
}
