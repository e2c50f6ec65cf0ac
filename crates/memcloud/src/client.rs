//! The instance that a command talks to, and what its errors mean on the command line.

use memcloud_api::native::NewKey;
use memcloud_api::{Place, Step};
use memcloud_client::{Client, Error, Refusal, ServerKind};
use memcloud_domain::{Right, with_causes};

use crate::console_client::{connect_to_console, instance_named};
use crate::current_instance::Current;
use crate::failure::{Exit, Failure};
use crate::hint::of_refusal;
use crate::kept_access::KeptAccess;
use crate::settings::{API_KEY, ClientFlags, Sources, URL};

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// What the key is for that is made for this user of an instance.
const KEY_NAME: &str = "the command line";

/// The address that the flags or settings name, or that `up` runs.
pub(crate) fn named_url(sources: &Sources, flags: &ClientFlags) -> Option<String> {
    sources.text(&URL, flags.url.as_deref()).or_else(|| Current::read().map(|current| current.url))
}

/// A client for the instance that the flags, the settings or `up` name, or for the usual address.
pub(crate) async fn connect(sources: &Sources, flags: &ClientFlags) -> Result<Client, Failure> {
    if let Some(name) = &flags.instance {
        return connect_by_name(sources, flags, name).await;
    }
    let key = sources.secret(&API_KEY, flags.key.as_deref())?;
    let url = named_url(sources, flags);
    Ok(Client::new(url.as_deref().unwrap_or(DEFAULT_URL), key)?)
}

/// A client for an instance of the console, with the given key, or one that is made once for this user.
async fn connect_by_name(sources: &Sources, flags: &ClientFlags, name: &str) -> Result<Client, Failure> {
    let console = connect_to_console(sources, &flags.console)?;
    let instance = instance_named(&console, name).await?;
    let Some(url) = instance.url else {
        let what = format!("the instance '{name}' is '{}' and has no address", instance.state);
        return Err(Failure::new(what, format!("'memcloud instances show {name}' says why")));
    };
    if let Some(key) = flags.key.as_deref() {
        return Ok(Client::new(&url, sources.secret(&API_KEY, Some(key))?)?);
    }
    let kept = KeptAccess::read().filter(|kept| kept.url == console.url());
    if let Some(key) = kept.and_then(|mut kept| kept.keys.remove(&instance.id)) {
        let client = Client::new(&url, Some(key.into()))?;
        let refused =
            client.ready().await.is_err_and(|error| error.refusal().is_some_and(|r| r.status == 401));
        if !refused {
            return Ok(client);
        }
    }
    let new = NewKey {
        name: KEY_NAME.into(),
        rights: Right::ALL.iter().map(|right| right.as_str().into()).collect(),
        ..NewKey::default()
    };
    let made = console.create_instance_key(&instance.id, &new).await?;
    KeptAccess::keep_key(console.url(), &instance.id, &made.key)?;
    Ok(Client::new(&url, Some(made.key.into()))?)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::InvalidUrl { server: ServerKind::Instance, .. } => {
                Self::usage(error.to_string(), "give a URL such as http://127.0.0.1:8080")
            }
            Error::InvalidUrl { server: ServerKind::Console, .. } => {
                Self::usage(error.to_string(), "give a URL such as http://127.0.0.1:8090")
            }
            Error::Setup(_) => Self::new(with_causes(&error), "check the proxy settings"),
            Error::Unreachable { server, .. } => {
                let hint = match server {
                    ServerKind::Instance => "start one with 'memcloud up', or name another with --url",
                    ServerKind::Console => {
                        "start one with 'memcloud up', or name another with --console or MEMCLOUD_CONSOLE_URL"
                    }
                };
                Self::new(error.to_string(), hint).ending(Exit::Unreachable)
            }
            Error::UnknownAnswer { server: ServerKind::Instance, .. } => {
                Self::new(error.to_string(), "check that the address is that of a memory instance")
            }
            Error::UnknownAnswer { server: ServerKind::Console, .. } => Self::new(
                error.to_string(),
                "check that the address is that of a console; an instance is named with --url",
            ),
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
            let hint = match (refusal.code.as_str(), refusal.server) {
                ("" | "unauthorized", ServerKind::Console) => {
                    "give a token of the console with MEMCLOUD_TOKEN or MEMCLOUD_TOKEN_FILE; 'memcloud up' keeps one for \
                     the user who runs it"
                }
                ("" | "unauthorized", ServerKind::Instance) => {
                    "give the key that 'memcloud up' printed, or one of MEMCLOUD_API_KEYS of the server, with --key, \
                     MEMCLOUD_API_KEY or MEMCLOUD_API_KEY_FILE"
                }
                _ => hint,
            };
            if refusal.status == 401 {
                message.insert_str(
                    0,
                    match refusal.server {
                        ServerKind::Instance => "the server did not accept the key: ",
                        ServerKind::Console => "the console did not accept the token: ",
                    },
                );
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
    let name = match (name.as_str(), steps.get(1)) {
        ("llm", Some(Step::Name(field))) if field == "base_url" => "llm_url",
        (name, _) => name,
    };
    let flag = match name {
        "group_id" => "--group",
        "session_id" => "--session",
        "user_id" => "--user",
        "agent_id" => "--agent",
        "producer" => "--producer",
        "produced_for" => "--for",
        "timestamp" | "revoke_at" => "--at",
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
        "target" => "--target",
        "topology" => "--topology",
        "neo4j" => "--neo4j",
        "postgres" => "--postgres",
        "llm" => "--llm-model",
        "llm_url" => "--llm-url",
        "program" => "--program",
        "confirm" => "--confirm",
        "data" => "--data",
        "role" => "--role",
        "password" => "--password-file",
        "scopes" => "--scope",
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
