//! IAM: service accounts.

use serde_json::{Value, json};

use super::{is_name, missing, policies};
use crate::answer::{Refusal, Reply};
use crate::call::Call;
use crate::state::State;

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    let collection = format!("projects/{}/serviceAccounts/", state.project.id);
    let name = format!("{collection}{}", call.part("serviceAccountsId"));
    match call.id {
        "iam.projects.serviceAccounts.create" => create(call, state, &collection),
        "iam.projects.serviceAccounts.get" => {
            let body = state.get(&name)?.clone();
            if state.is_unseen(&name) { Err(Refusal::not_found(&name)) } else { Ok(body.into()) }
        }
        "iam.projects.serviceAccounts.list" => Ok(json!({"accounts": state.list(&collection)}).into()),
        "iam.projects.serviceAccounts.delete" => delete(state, &name),
        "iam.projects.serviceAccounts.getIamPolicy" => {
            state.get(&name)?;
            Ok(policies::get(state, &name))
        }
        "iam.projects.serviceAccounts.setIamPolicy" => {
            state.get(&name)?;
            policies::set(call, state, &name)
        }
        _ => Err(missing(call)),
    }
}

fn create(call: &Call, state: &mut State, collection: &str) -> Reply {
    let id = call.text("/accountId");
    if !is_name(id, 6..=30) {
        return Err(Refusal::invalid(format!(
            "Invalid service account ID '{id}': it must have 6 to 30 lower-case letters, digits and hyphens."
        )));
    }
    let email = format!("{id}@{}.iam.gserviceaccount.com", state.project.id);
    let name = format!("{collection}{email}");
    state.free(&name)?;
    let unique = state.number();
    let mut body = call.body["serviceAccount"].as_object().cloned().map_or_else(|| json!({}), Value::Object);
    super::merge(
        &mut body,
        &json!({
            "name": name,
            "projectId": state.project.id,
            "uniqueId": unique.to_string(),
            "email": email,
            "oauth2ClientId": unique.to_string(),
            "etag": "MDEwMjE5MjA=",
        }),
    );
    state.delay(&name);
    state.resources.insert(name, body.clone());
    Ok(body.into())
}

/// Deletes an account. Its grants stay, under the name of a deleted account.
fn delete(state: &mut State, name: &str) -> Reply {
    let body = state.get(name)?.clone();
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    let member = format!("serviceAccount:{}", text("email"));
    let gone = format!("deleted:{member}?uid={}", text("uniqueId"));
    state.policies.values_mut().for_each(|policy| policy.rename(&member, &gone));
    state.remove(name);
    Ok(json!({}).into())
}
