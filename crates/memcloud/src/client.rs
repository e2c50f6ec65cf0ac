//! The instance that a command talks to, and what its errors mean on the command line.

use memcloud_api::{Place, Step};
use memcloud_client::{Client, Error, Refusal};
use memcloud_domain::with_causes;

use crate::current_instance::Current;
use crate::failure::{Exit, Failure};
use crate::hint::of_refusal;
use crate::settings::{API_KEY, ClientFlags, Sources, URL};

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// The address that the flags or settings name, or that `up` runs.
pub(crate) fn named_url(sources: &Sources, flags: &ClientFlags) -> Option<String> {
    sources.text(&URL, flags.url.as_deref()).or_else(|| Current::read().map(|current| current.url))
}

/// A client for the instance that the flags, the settings or `up` name, or for the usual address.
pub(crate) fn connect(sources: &Sources, flags: &ClientFlags) -> Result<Client, Failure> {
    let key = sources.secret(&API_KEY, flags.key.as_deref())?;
    let url = named_url(sources, flags);
    Ok(Client::new(url.as_deref().unwrap_or(DEFAULT_URL), key)?)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::InvalidUrl { .. } => {
                Self::usage(error.to_string(), "give a URL such as http://127.0.0.1:8080")
            }
            Error::Setup(_) => Self::new(with_causes(&error), "check the proxy settings"),
            Error::Unreachable { .. } => {
                Self::new(error.to_string(), "start one with 'memcloud up', or name another with --url")
                    .ending(Exit::Unreachable)
            }
            Error::UnknownAnswer { .. } => {
                Self::new(error.to_string(), "check that the address is that of a memory instance")
            }
            Error::BrokenOff(_) => {
                Self::new(error.to_string(), "what was answered up to then is stored; see the server's log")
            }
            Error::Refused(refusal) => refused(refusal),
        }
    }
}

fn refused(refusal: &Refusal) -> Failure {
    let problems = refusal.problems.iter();
    let problems: Vec<String> =
        problems.map(|problem| format!("{}: {}", flag(&problem.loc), problem.msg)).collect();
    let mut message = if problems.is_empty() { refusal.detail.clone() } else { problems.join("; ") };
    if refusal.question_stored {
        message.push_str("; what you said is stored");
    }
    let hint = of_refusal(&refusal.code).or(refusal.hint.as_deref());
    let hint = hint.unwrap_or("'memcloud doctor' tries every part of the instance");
    match refusal.status {
        401 | 403 => {
            // The server knows only its own side: that a key is missing or wrong.
            let hint = match refusal.code.as_str() {
                "" | "unauthorized" => {
                    "give the key that 'memcloud up' printed, or one of MEMCLOUD_API_KEYS of the server, with --key, \
                     MEMCLOUD_API_KEY or MEMCLOUD_API_KEY_FILE"
                }
                _ => hint,
            };
            if refusal.status == 401 {
                message.insert_str(0, "the server did not accept the key: ");
            }
            Failure::new(message, hint).ending(Exit::KeyRefused)
        }
        404 => Failure::new(message, hint).ending(Exit::Nothing),
        _ => Failure::new(message, hint),
    }
}

/// The flag or argument behind a place of a request. Other places are unchanged.
fn flag(place: &Place) -> String {
    let steps = match place.steps() {
        // Of an import: its batches are counted, so the number is that in the batch.
        [_, Step::Name(list), Step::Index(number), field @ ..] if list == "episodes" => {
            let field = field.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
            return format!("message {} of those that were sent, {field}", number + 1);
        }
        [_, Step::Name(session), rest @ ..] if session == "session" && !rest.is_empty() => rest,
        [_, rest @ ..] => rest,
        [] => &[],
    };
    let Some(Step::Name(name)) = steps.first() else { return place.to_string() };
    let flag = match name.as_str() {
        "group_id" => "--group",
        "session_id" => "--session",
        "user_id" => "--user",
        "agent_id" => "--agent",
        "producer" => "--producer",
        "produced_for" => "--for",
        "timestamp" => "--at",
        "metadata" => "--metadata",
        "filter" => "--filter",
        "limit" => "--limit",
        "model" => "--model",
        "rights" => "--right",
        "spaces" => "--space",
        "expires_at" => "--expires",
        "org" => "--org",
        "description" => "--description",
        "learns" => "--learns",
        "episode_content" => "TEXT",
        "query" => "QUESTION",
        "messages" => "MESSAGE",
        "name" => "NAME",
        "project" => "PROJECT",
        "id" => "ID",
        _ => return place.to_string(),
    };
    flag.to_owned()
}
