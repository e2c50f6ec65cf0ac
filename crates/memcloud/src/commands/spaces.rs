use clap::Subcommand;
use memcloud_api::memmachine_v1::ORGANIZATION;
use memcloud_api::native::{Space, SpaceChanges, SpaceDetails, Spaces};
use memcloud_client::{Client, Error, SpacesQuery};

use crate::client::connect;
use crate::commands::{Context, all_pages, confirmed, day_and_time, report_done, show_list};
use crate::failure::{Exit, Failure};
use crate::settings::ClientFlags;

/// List, show, configure and delete the spaces of an instance; a group is a space
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the spaces
    List {
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Show a space, and how much it holds
    Show {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Describe a space, or say whether it learns
    Configure(Configure),
    /// Delete a space with all its sessions, messages and facts, for good
    Delete {
        #[command(flatten)]
        name: Name,
        /// Delete it without asking
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        client: ClientFlags,
    },
}

/// The name of a space.
#[derive(clap::Args, Debug)]
struct Name {
    /// The project; of a group, its name
    project: String,
    /// The organization; all groups belong to 'universal'
    #[arg(long, value_name = "NAME", default_value = ORGANIZATION)]
    org: String,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = true, args = ["description", "learns"])]
struct Configure {
    #[command(flatten)]
    name: Name,
    /// A description for people; '' removes it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Whether messages that are stored from now on are learned from
    #[arg(long, value_name = "TRUTH")]
    learns: Option<bool>,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.command {
        Command::List { client } => list(&client, context).await,
        Command::Show { name, client } => show(&name, &client, context).await,
        Command::Configure(new) => configure(new, context).await,
        Command::Delete { name, yes, client } => {
            let client = connect(&context.sources, &client).await?;
            delete(&client, &name, yes, context).await
        }
    }
}

async fn list(flags: &ClientFlags, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, flags).await?;
    let spaces = all_pages(async |cursor| {
        let page = client.spaces(&SpacesQuery { cursor, ..SpacesQuery::default() }).await?;
        Ok((page.spaces, page.next_cursor))
    });
    let listed = Spaces { spaces: spaces.await?, next_cursor: None };
    context.output.answer(&listed, |output| show_list(&listed.spaces, line, "no spaces", output));
    Ok(Exit::Ok)
}

/// A space as one line: name, state, whether it learns, since when, description.
fn line(space: &Space) -> String {
    let learns = if space.learns { "learns" } else { "learns not" };
    let Space { org, project, state, description, .. } = space;
    format!("{org}/{project}  {state}  {learns}  since: {}  {description}", created(space))
        .trim_end()
        .to_owned()
}

fn created(space: &Space) -> String {
    space.created_at.as_deref().map_or_else(|| "unknown".to_owned(), day_and_time)
}

async fn show(name: &Name, flags: &ClientFlags, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, flags).await?;
    print(&client.space(&name.org, &name.project).await.map_err(unknown)?, context);
    Ok(Exit::Ok)
}

fn print(details: &SpaceDetails, context: &Context) {
    let space = &details.space;
    let rows = [
        ("space", format!("{}/{}", space.org, space.project)),
        ("description", space.description.clone()),
        ("learns", if space.learns { "yes" } else { "no" }.to_owned()),
        ("state", space.state.clone()),
        ("created", created(space)),
        ("sessions", details.sessions.to_string()),
        ("messages", details.episodes.to_string()),
        ("facts", details.facts.to_string()),
    ];
    let line = |(name, value): &(&str, String)| format!("{name:<13}{value}").trim_end().to_owned();
    context.output.answer(details, |output| rows.iter().for_each(|row| output.data(line(row))));
}

async fn configure(new: Configure, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, &new.client).await?;
    let changes = SpaceChanges { description: new.description, learns: new.learns };
    print(
        &client.configure_space(&new.name.org, &new.name.project, &changes).await.map_err(unknown)?,
        context,
    );
    Ok(Exit::Ok)
}

async fn delete(client: &Client, name: &Name, yes: bool, context: &Context) -> Result<Exit, Failure> {
    let Name { org, project } = name;
    if !yes {
        let question = question(&client.space(org, project).await.map_err(unknown)?);
        if !confirmed(&question, "a space", context)? {
            return Ok(Exit::Failed);
        }
    }
    let deleted = client.delete_space(org, project).await.map_err(unknown)?;
    let message = "deleted; nothing in it is found any more, and the server is removing its data";
    Ok(report_done(&deleted, message, context))
}

fn unknown(error: Error) -> Failure {
    Failure::listing(error, "'memcloud spaces list' lists the spaces")
}

fn question(found: &SpaceDetails) -> String {
    let SpaceDetails { space, sessions, episodes, facts } = found;
    format!(
        "Delete the space '{}/{}' with {episodes} messages in {sessions} sessions, and {facts} facts, for good?",
        space.org, space.project
    )
}
