//! Resource Manager: the project and its policy.

use serde_json::{Value, json};

use super::{missing, policies};
use crate::answer::{Refusal, Reply};
use crate::call::Call;
use crate::state::State;

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    let resource = format!("projects/{}", state.project.id);
    match call.id {
        "cloudresourcemanager.projects.get" => Ok(project(state).into()),
        "cloudresourcemanager.projects.search" => Ok(json!({"projects": [project(state)]}).into()),
        "cloudresourcemanager.projects.getIamPolicy" => Ok(policies::get(state, &resource)),
        "cloudresourcemanager.projects.setIamPolicy" => {
            if call.body["policy"]["etag"].is_null() {
                // Google accepts this, and loses what others have granted.
                return Err(Refusal::invalid(
                    "This stand-in refuses a policy of the project without its etag.",
                ));
            }
            policies::set(call, state, &resource)
        }
        "cloudresourcemanager.projects.testIamPermissions" => {
            let asked = call.body["permissions"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let has: Vec<&str> = asked.filter(|one| !state.project.lacking.contains(*one)).collect();
            // An empty list is left out.
            Ok(if has.is_empty() { json!({}) } else { json!({"permissions": has}) }.into())
        }
        "cloudresourcemanager.operations.get" => state.poll(call.part("operationsId")),
        _ => Err(missing(call)),
    }
}

fn project(state: &State) -> Value {
    json!({
        "name": format!("projects/{}", state.project.number),
        "parent": "organizations/100000000000",
        "projectId": state.project.id,
        "state": "ACTIVE",
        "displayName": "A project of tests",
        "createTime": "2026-01-01T00:00:00Z",
        "updateTime": "2026-01-01T00:00:00Z",
        "etag": "W/\"fake\"",
    })
}
