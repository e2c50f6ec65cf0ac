//! The instance that a command talks to, and what its errors mean on the command line.

use memcloud_client::{Client, Error, Refusal};
use memcloud_domain::with_causes;

use crate::current_instance::Current;
use crate::failure::{Exit, Failure};
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
    let mut message = refusal.detail.clone();
    if refusal.question_stored {
        message.push_str("; what you said is stored");
    }
    let hint = refusal.hint.as_deref().unwrap_or("'memcloud doctor' tries every part of the instance");
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
            Failure::new(format!("the server did not accept the key: {message}"), hint)
                .ending(Exit::KeyRefused)
        }
        404 => Failure::new(message, hint).ending(Exit::Nothing),
        _ => Failure::new(message, hint),
    }
}
