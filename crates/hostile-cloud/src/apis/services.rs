//! Service Usage: which APIs are on.

use serde_json::{Value, json};

use super::missing;
use crate::answer::{Refusal, Reply};
use crate::api::Api;
use crate::call::Call;
use crate::operations::Begin;
use crate::state::State;

/// The most APIs in one request.
const MOST: usize = 20;
/// An API that is needed by none of the others, such as one that a test names.
const ALSO_KNOWN: [&str; 4] = [
    "cloudbilling.googleapis.com",
    "storage.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
];

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    match call.id {
        "serviceusage.services.batchEnable" => {
            let ids = call.body["serviceIds"].as_array().into_iter().flatten();
            enable(call, state, ids.filter_map(Value::as_str).map(str::to_owned).collect())
        }
        "serviceusage.services.enable" => enable(call, state, vec![call.part("servicesId").to_owned()]),
        "serviceusage.services.disable" => {
            state.project.enabled.remove(call.part("servicesId"));
            Ok(json!({"name": "operations/noop.DONE_OPERATION", "done": true}).into())
        }
        "serviceusage.services.batchGet" => {
            let names: Vec<&str> = call.all("names").filter_map(|name| name.rsplit('/').next()).collect();
            let services: Vec<Value> = names.into_iter().map(|name| service(state, name)).collect();
            Ok(json!({"services": services}).into())
        }
        "serviceusage.services.get" => Ok(service(state, call.part("servicesId")).into()),
        "serviceusage.services.list" => {
            let enabled: Vec<String> = state.project.enabled.iter().cloned().collect();
            let services: Vec<Value> = enabled.iter().map(|name| service(state, name)).collect();
            Ok(json!({"services": services}).into())
        }
        "serviceusage.operations.get" => state.poll(call.part("operationsId")),
        _ => Err(missing(call)),
    }
}

fn service(state: &State, name: &str) -> Value {
    let parent = format!("projects/{}", state.project.number);
    let on = state.project.enabled.contains(name);
    json!({
        "name": format!("{parent}/services/{name}"),
        "config": {"name": name},
        "state": if on { "ENABLED" } else { "DISABLED" },
        "parent": parent,
    })
}

fn enable(call: &Call, state: &mut State, names: Vec<String>) -> Reply {
    if names.is_empty() || names.len() > MOST {
        return Err(Refusal::invalid(format!("Between 1 and {MOST} services can be enabled at once.")));
    }
    let known = |name: &str| Api::at(name).is_some() || ALSO_KNOWN.contains(&name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(Refusal::denied(format!("Not found or permission denied for service(s): {unknown}.")));
    }
    let number = state.project.number;
    if !state.project.billing && names.iter().any(|name| Api::at(name).is_some_and(Api::is_billed)) {
        return Err(Refusal::precondition(format!(
            "Billing account for project '{number}' is not found. Billing must be enabled for activation of service(s) \
             '{}' to proceed.",
            names.join(",")
        )));
    }
    if names.iter().all(|name| state.project.enabled.contains(name)) {
        let services: Vec<Value> = names.iter().map(|name| service(state, name)).collect();
        let response = json!({"services": services});
        return Ok(
            json!({"name": "operations/noop.DONE_OPERATION", "done": true, "response": response}).into()
        );
    }
    let target = format!("projects/{number}/services");
    let finish = Box::new(move |state: &mut State, worked: Result<(), _>| {
        worked?;
        for name in &names {
            if state.project.enabled.insert(name.clone()) {
                state.delay(name);
            }
        }
        let services: Vec<Value> = names.iter().map(|name| service(state, name)).collect();
        Ok(json!({"services": services}))
    });
    Ok(state.begin(call, Begin { kind: "ENABLE", target: &target, work: None, finish }))
}
