use memcloud_api::memmachine_v1::{ForgetSession, Session};
use memcloud_api::native::{DeleteUser, Deleted};
use memcloud_client::{Client, ListQuery};
use serde_json::json;

use crate::client::connect;
use crate::commands::{Context, DEFAULT_GROUP, confirmed, show_deleted};
use crate::failure::{Exit, Failure};
use crate::settings::ClientFlags;

/// Delete messages, a whole session or a person, for good
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The messages, by the ids that 'add' and 'list' print
    #[arg(required_unless_present_any = ["session", "user"], conflicts_with_all = ["session", "user"], value_name = "ID")]
    ids: Vec<memcloud_api::PrefixedId>,
    /// The session whose messages to delete
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// The person to forget: messages by and for them, facts about them, and their name
    #[arg(long, value_name = "NAME", conflicts_with = "session")]
    user: Option<String>,
    /// The group that they belong to
    #[arg(long, value_name = "NAME", default_value = DEFAULT_GROUP)]
    group: String,
    /// Delete without asking
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, &args.client).await?;
    match (&args.session, &args.user) {
        (Some(session), _) => forget_session(&client, session, &args, context).await,
        (None, Some(user)) => forget_user(&client, user, &args.group, args.yes, context).await,
        (None, None) => forget_messages(&client, &args, context).await,
    }
}

/// Forgets a person in a group.
pub(crate) async fn forget_user(
    client: &Client,
    user: &str,
    group: &str,
    yes: bool,
    context: &Context,
) -> Result<Exit, Failure> {
    let question = format!(
        "Delete the messages by and for '{user}' in group '{group}', and all facts about them, for good?"
    );
    if !yes && !confirmed(&question, "a user", context)? {
        return Ok(Exit::Failed);
    }
    let deleted =
        client.delete_user(&DeleteUser { group_id: group.to_owned(), user_id: user.to_owned() }).await;
    show_deleted(deleted, "'memcloud sessions list' shows who takes part in what", context)
}

async fn forget_session(
    client: &Client,
    session: &str,
    args: &Args,
    context: &Context,
) -> Result<Exit, Failure> {
    let group_id = args.group.clone();
    let query = ListQuery {
        group_id: group_id.clone(),
        session_id: Some(session.to_owned()),
        limit: 1,
        cursor: None,
    };
    let any = !client.list(&query).await?.episodes.is_empty();
    let question = format!("Delete every message of session '{session}' in group '{}' for good?", args.group);
    if any && !args.yes && !confirmed(&question, "a session", context)? {
        return Ok(Exit::Failed);
    }
    // Asked for in any case: a session can hold what is not listed, such as what waits for the profile.
    let (user_id, agent_id) = (Some(vec![]), Some(vec![]));
    let whole = Session { group_id, session_id: session.to_owned(), user_id, agent_id };
    let Deleted { deleted } = client.forget_session(&ForgetSession { session: Some(whole) }).await?;
    if context.output.json {
        context.output.value(&json!({"session": session, "deleted": deleted}));
    }
    context.output.say(format!("{deleted} deleted"));
    Ok(if deleted == 0 { Exit::Nothing } else { Exit::Ok })
}

async fn forget_messages(client: &Client, args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut deleted = 0;
    for id in &args.ids {
        match client.delete(&args.group, *id).await.map_err(Failure::from) {
            Ok(_) => deleted += 1,
            Err(failure) if failure.exit == Exit::Nothing => {
                context.output.say(format!("there is no {} in group '{}'", id, args.group));
            }
            Err(failure) => return Err(failure),
        }
    }
    if context.output.json {
        context.output.value(&json!({"deleted": deleted}));
    }
    context.output.say(format!("{deleted} deleted"));
    Ok(if deleted == 0 { Exit::Nothing } else { Exit::Ok })
}
