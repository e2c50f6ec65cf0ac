use clap::Subcommand;
use memcloud_api::console::{NewToken, Token};
use memcloud_domain::Right;

use crate::commands::keys::moment;
use crate::commands::{Context, day_and_time, report_done, show_list};
use crate::console_client::connect_to_console;
use crate::failure::{Exit, Failure};
use crate::settings::ConsoleFlags;

/// Create, list and revoke the tokens of a console
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a token of your own, and print it; it cannot be shown again
    Create(Create),
    /// List the tokens without their secrets
    List {
        #[command(flatten)]
        console: ConsoleFlags,
    },
    /// Revoke a token for good
    Revoke {
        /// The id that 'tokens list' prints
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        console: ConsoleFlags,
    },
}

#[derive(clap::Args, Debug)]
struct Create {
    /// What the token is for
    name: String,
    /// What it permits: read, write or admin; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = str::parse::<Right>)]
    scopes: Vec<Right>,
    /// When it ends: a time span such as 30d or 12h, or a date (default: never)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    expires: Option<String>,
    #[command(flatten)]
    console: ConsoleFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.command {
        Command::Create(new) => create(new, context).await,
        Command::List { console } => list(&console, context).await,
        Command::Revoke { id, console } => revoke(&id, &console, context).await,
    }
}

async fn create(new: Create, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, &new.console)?;
    let scopes = new.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let token = NewToken { name: new.name, scopes, expires_at: new.expires };
    let created = console.create_token(&token).await?;
    context.output.answer(&created, |output| {
        output.data(&created.token);
        output.say(format!("token {} created; it cannot be shown again", created.about.id));
    });
    Ok(Exit::Ok)
}

async fn list(flags: &ConsoleFlags, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, flags)?;
    let listed = console.tokens().await?;
    context.output.answer(&listed, |output| show_list(&listed.tokens, line, "no tokens", output));
    Ok(Exit::Ok)
}

/// A token as one line: id, scopes, last use, end, name.
fn line(token: &Token) -> String {
    let time = |time: &Option<String>| time.as_deref().map_or_else(|| "never".to_owned(), day_and_time);
    let revoked = if token.revoked_at.is_some() { "revoked  " } else { "" };
    format!(
        "{}  {revoked}{}  used: {}  ends: {}  {}",
        token.id,
        token.scopes.join(","),
        time(&token.last_used_at),
        time(&token.expires_at),
        token.name
    )
}

async fn revoke(id: &str, flags: &ConsoleFlags, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, flags)?;
    let revoked = console.revoke_token(id).await;
    revoked.map_err(|error| Failure::listing(error, "'memcloud tokens list' lists the tokens"))?;
    Ok(report_done(&serde_json::json!({"id": id}), &format!("token {id} revoked"), context))
}
