use memcloud_api::memmachine_v1::{ForgetSession, Session};
use memcloud_api::native::Deleted;
use memcloud_client::{Client, ListQuery};
use serde_json::json;

use crate::client::connect;
use crate::commands::{Context, DEFAULT_GROUP, confirmed};
use crate::failure::{Exit, Failure};
use crate::settings::ClientFlags;

/// Delete messages, or a whole session, for good
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The messages, by the ids that 'add' and 'list' print
    #[arg(required_unless_present = "session", conflicts_with = "session", value_name = "ID")]
    ids: Vec<memcloud_api::PrefixedId>,
    /// The session whose messages to delete
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// The group that they belong to
    #[arg(long, value_name = "NAME", default_value = DEFAULT_GROUP)]
    group: String,
    /// Delete a session without asking
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, &args.client)?;
    match &args.session {
        Some(session) => forget_session(&client, session, &args, context).await,
        None => forget_messages(&client, &args, context).await,
    }
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
