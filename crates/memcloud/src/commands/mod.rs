//! One command per file, and what several of them share.

use memcloud_api::memmachine_v1::Session;
use memcloud_api::native::Deleted;
use memcloud_client::{Client, Error as ClientError};
use serde::Serialize;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::output::{self, Output};
use crate::settings::Sources;

pub(crate) mod add;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod forget;
pub(crate) mod import;
pub(crate) mod instances;
pub(crate) mod keys;
pub(crate) mod leftovers;
pub(crate) mod list;
pub(crate) mod model;
pub(crate) mod operations;
pub(crate) mod organizations;
pub(crate) mod plan;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod sessions;
pub(crate) mod spaces;
pub(crate) mod tokens;
pub(crate) mod up;
pub(crate) mod users;
pub(crate) mod verify;

/// What every command is given: its output and its settings.
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) sources: Sources,
}

/// The group of messages that name none.
pub(crate) const DEFAULT_GROUP: &str = "default";
/// The session of messages that name none.
pub(crate) const DEFAULT_SESSION: &str = "default";

/// Where messages belong.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Place {
    /// The group: nothing is ever found across groups (default: default)
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// The conversation inside the group (default: default; for search and list: all)
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,
}

impl Place {
    /// The group, named or not.
    pub(crate) fn group(&self) -> &str {
        self.group.as_deref().unwrap_or(DEFAULT_GROUP)
    }

    /// The session, named or not.
    pub(crate) fn session(&self) -> &str {
        self.session.as_deref().unwrap_or(DEFAULT_SESSION)
    }

    /// The session with these members.
    pub(crate) fn session_of(&self, users: Vec<String>, agents: Vec<String>) -> Session {
        Session {
            group_id: self.group().to_owned(),
            session_id: self.session().to_owned(),
            user_id: Some(users),
            agent_id: Some(agents),
        }
    }
}

/// Asks whether to delete something. Without a terminal the command is refused.
pub(crate) fn confirmed(question: &str, what: &str, context: &Context) -> Result<bool, Failure> {
    let refused = || Failure::usage(format!("refusing to delete {what} without confirmation"), "pass --yes");
    let agreed = output::ask(question).ok_or_else(refused)?;
    if !agreed {
        context.output.say("nothing was deleted");
    }
    Ok(agreed)
}

/// Prints how many messages were deleted; `hint` says where those are that can be.
pub(crate) fn show_deleted(
    deleted: Result<Deleted, ClientError>,
    hint: &str,
    context: &Context,
) -> Result<Exit, Failure> {
    let deleted = deleted.map_err(|error| Failure::listing(error, hint))?;
    Ok(report_done(&deleted, &format!("deleted, with {} messages", deleted.deleted), context))
}

/// Prints what a command has done: the answer for programs, a message for people.
pub(crate) fn report_done(answer: &impl Serialize, message: &str, context: &Context) -> Exit {
    if context.output.json {
        context.output.value(answer);
    }
    context.output.say(message);
    Exit::Ok
}

/// Prints a list for people, a line for each of its items, or a message that it is empty.
pub(crate) fn show_list<T>(items: &[T], line: impl Fn(&T) -> String, empty: &str, output: Output) {
    if items.is_empty() {
        output.say(empty);
    }
    for item in items {
        output.data(line(item));
    }
}

/// Warns where nothing was found because the memory is not whole.
pub(crate) async fn warn_unless_ready(client: &Client, output: Output) {
    if let Err(ClientError::Refused(refusal)) = client.ready().await
        && refusal.code.starts_with("storage_")
    {
        output.warn(&refusal.detail, refusal.hint.as_deref().unwrap_or("run 'memcloud doctor'"));
    }
}

/// All items of a list that the server answers page by page. `page` gets the cursor of a page, and returns its items and
/// the next cursor.
pub(crate) async fn all_pages<T>(
    page: impl AsyncFn(Option<String>) -> Result<(Vec<T>, Option<String>), ClientError>,
) -> Result<Vec<T>, ClientError> {
    let (mut items, mut next) = page(None).await?;
    while next.is_some() {
        let (more, after) = page(next).await?;
        items.extend(more);
        next = after;
    }
    Ok(items)
}

/// `key=value` of a flag. A value that is a JSON number, truth value, list or object is taken as such, else as text.
pub(crate) fn metadata(text: &str) -> Result<(String, Value), String> {
    let (key, value) =
        text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("write it as key=value")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((key.to_owned(), value))
}

/// A time of an answer, cut to what people read: `2023-05-08 13:56`.
pub(crate) fn day_and_time(timestamp: &str) -> String {
    timestamp.chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect()
}
