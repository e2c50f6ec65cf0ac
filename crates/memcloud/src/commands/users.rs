use clap::Subcommand;
use memcloud_api::native::DeleteUser;

use crate::client::connect;
use crate::commands::{Context, confirmed, show_deleted};
use crate::failure::{Exit, Failure};
use crate::settings::ClientFlags;

/// Delete the users of an instance
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Forget a person in a group for good: messages by and for them, facts about them, and their name
    Delete {
        /// The person
        #[arg(value_name = "NAME")]
        user: String,
        /// The group that forgets them
        #[arg(long, value_name = "NAME")]
        group: String,
        /// Delete without asking
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        client: ClientFlags,
    },
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let Command::Delete { user: user_id, group: group_id, yes, client } = args.command;
    let question = format!(
        "Delete the messages by and for '{user_id}' in group '{group_id}', and all facts about them, for good?"
    );
    if !yes && !confirmed(&question, "a user", context)? {
        return Ok(Exit::Failed);
    }
    let user = DeleteUser { group_id, user_id };
    let deleted = connect(&context.sources, &client)?.delete_user(&user).await;
    show_deleted(deleted, "'memcloud sessions list' shows who takes part in what", context)
}
