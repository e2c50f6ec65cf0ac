//! The APIs, one file each.

pub(crate) mod accounts;
pub(crate) mod aura;
mod clusters;
mod compute;
mod connectors;
pub(crate) mod images;
mod peering;
mod policies;
pub(crate) mod projects;
pub(crate) mod run;
pub(crate) mod secrets;
pub(crate) mod services;
pub(crate) mod sql;

use crate::answer::{Refusal, Reply};
use crate::api::Api;
use crate::call::Call;
use crate::state::State;

/// What the API answers to a call.
pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    match call.api {
        Api::Run => run::answer(call, state),
        Api::Sql => sql::answer(call, state),
        Api::Secrets => secrets::answer(call, state),
        Api::Accounts => accounts::answer(call, state),
        Api::Projects => projects::answer(call, state),
        Api::Services => services::answer(call, state),
        Api::Images => images::answer(call, state),
        Api::Aura => aura::answer(call, state),
        Api::Compute => compute::answer(call, state),
        Api::Peering => peering::answer(call, state),
        Api::Connectors => connectors::answer(call, state),
        Api::Clusters => clusters::answer(call, state),
    }
}

/// The method is described, but this cloud does not have it.
fn missing(call: &Call) -> Refusal {
    Refusal::new(501, "UNIMPLEMENTED", "notImplemented", format!("This stand-in has no {}.", call.id))
}

/// Whether a name has only lower-case letters, digits and hyphens, begins with a letter, ends with none of the hyphens, and
/// has a length in this range.
fn is_name(name: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Replaces fields by those of another object, field by field at every depth.
fn merge(into: &mut serde_json::Value, from: &serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
