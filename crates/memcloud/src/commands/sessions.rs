use clap::Subcommand;
use memcloud_api::memmachine_v1::{KnownSession, Sessions};
use memcloud_api::native::DeleteSession;
use memcloud_client::{SessionsOf, SessionsQuery};

use crate::client::connect;
use crate::commands::{Context, all_pages, confirmed, show_deleted, show_list};
use crate::failure::{Exit, Failure};
use crate::settings::ClientFlags;

/// List and delete the sessions of an instance
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the sessions
    List(List),
    /// Delete a session with its messages, its members and its name, for good
    Delete {
        /// The session
        #[arg(value_name = "NAME")]
        session: String,
        /// The group that it belongs to
        #[arg(long, value_name = "NAME")]
        group: String,
        /// Delete it without asking
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        client: ClientFlags,
    },
}

#[derive(clap::Args, Debug)]
#[group(multiple = false, args = ["group", "user", "agent"])]
struct List {
    /// Those of this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Those that this person takes part in
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Those that this program takes part in
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.command {
        Command::List(wanted) => list(wanted, context).await,
        Command::Delete { session: session_id, group: group_id, yes, client } => {
            let question = format!(
                "Delete the session '{session_id}' of group '{group_id}' with its messages and members for good?"
            );
            if !yes && !confirmed(&question, "a session", context)? {
                return Ok(Exit::Failed);
            }
            let session = DeleteSession { group_id, session_id };
            let deleted = connect(&context.sources, &client).await?.delete_session(&session).await;
            show_deleted(deleted, "'memcloud sessions list' lists the sessions", context)
        }
    }
}

async fn list(wanted: List, context: &Context) -> Result<Exit, Failure> {
    let of = match (wanted.group, wanted.user, wanted.agent) {
        (Some(group), _, _) => SessionsOf::Group(group),
        (_, Some(user), _) => SessionsOf::User(user),
        (_, _, Some(agent)) => SessionsOf::Agent(agent),
        (None, None, None) => SessionsOf::Everyone,
    };
    let client = connect(&context.sources, &wanted.client).await?;
    let sessions = all_pages(async |cursor| {
        let page = client.sessions(&of, &SessionsQuery { cursor, ..SessionsQuery::default() }).await?;
        Ok((page.sessions, page.next_cursor))
    });
    let listed = Sessions { sessions: sessions.await?, next_cursor: None };
    context.output.answer(&listed, |output| show_list(&listed.sessions, line, "no sessions", output));
    Ok(Exit::Ok)
}

/// A session as one line: group, name, members.
fn line(session: &KnownSession) -> String {
    let KnownSession { group_id, session_id, user_ids, agent_ids, more_members } = session;
    let members: Vec<&str> = user_ids.iter().chain(agent_ids).map(String::as_str).collect();
    let more = if *more_members { ", …" } else { "" };
    format!("{group_id}/{session_id}  {}{more}", members.join(", ")).trim_end().to_owned()
}
