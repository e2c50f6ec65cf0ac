//! The policies of resources, which every API has in the same form.

use crate::answer::{Answer, Refusal, Reply};
use crate::call::Call;
use crate::policy::EVERYONE;
use crate::state::State;

/// Answers the policy of a resource.
pub(crate) fn get(state: &State, resource: &str) -> Answer {
    state.policies.get(resource).cloned().unwrap_or_default().body().into()
}

/// Replaces the policy of a resource, unless it has changed since it was read.
pub(crate) fn set(call: &Call, state: &mut State, resource: &str) -> Reply {
    let given = &call.body["policy"];
    let old = state.policies.get(resource).cloned().unwrap_or_default();
    if given["etag"].as_str().is_some_and(|etag| etag != old.etag()) {
        return Err(Refusal::aborted());
    }
    let policy = old.replaced_by(given);
    let known = |member: &&str| !old.members().any(|other| other == *member);
    for member in policy.members().filter(known) {
        if let Some(email) = member.strip_prefix("serviceAccount:") {
            state.see_account(email)?;
        } else if !member.contains(':') && ![EVERYONE, "allAuthenticatedUsers"].contains(&member) {
            return Err(Refusal::invalid(format!("The member {member} is of an unknown type.")));
        }
    }
    let body = policy.body();
    state.policies.insert(resource.to_owned(), policy);
    Ok(body.into())
}
