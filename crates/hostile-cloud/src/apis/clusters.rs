//! Kubernetes Engine: clusters. What runs in them is not part of this cloud.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{is_name, merge, missing};
use crate::answer::{Refusal, Reply};
use crate::call::Call;
use crate::failure::Outcome;
use crate::operations::Begin;
use crate::state::State;

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    let collection = format!("projects/{}/locations/{}/clusters/", state.project.id, call.location());
    let name = format!("{collection}{}", call.part("clustersId"));
    match call.id.trim_start_matches("container.projects.locations.") {
        "operations.get" => state.poll(call.part("operationsId")),
        "getServerConfig" => {
            Ok(json!({"defaultClusterVersion": "1.33.5", "validMasterVersions": ["1.33.5"]}).into())
        }
        "clusters.create" => create(call, state, &collection),
        "clusters.get" => Ok(state.get(&name)?.clone().into()),
        "clusters.list" => Ok(json!({"clusters": state.list(&collection)}).into()),
        "clusters.delete" => {
            if state.operations.busy(&name) {
                return Err(Refusal::precondition("The cluster is being changed by another operation."));
            }
            state.get(&name)?["status"] = "STOPPING".into();
            let target = name.clone();
            let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
                worked?;
                state.remove(&name);
                Ok(Value::Null)
            });
            Ok(state.begin(call, Begin { kind: "DELETE_CLUSTER", target: &target, work: None, finish }))
        }
        _ => Err(missing(call)),
    }
}

fn create(call: &Call, state: &mut State, collection: &str) -> Reply {
    let id = call.text("/cluster/name").to_owned();
    if !is_name(&id, 1..=40) {
        return Err(Refusal::invalid(format!("The cluster name '{id}' is invalid.")));
    }
    state.open(call.location())?;
    let name = format!("{collection}{id}");
    state.free(&name)?;
    for field in ["network", "subnetwork"] {
        let reference = call.text(&format!("/cluster/{field}"));
        if reference.starts_with("projects/") {
            let full = state.named(reference);
            state.get(&full)?;
        }
    }
    let mut body = call.body["cluster"].clone();
    merge(
        &mut body,
        &json!({"status": "PROVISIONING", "location": call.location(), "createTime": state.clock.text()}),
    );
    state.resources.insert(name.clone(), body);
    let authority = std::fs::read(state.graphs.certificates().ca_file()).unwrap_or_default();
    let target = name.clone();
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        let body = state.resources.entry(name).or_insert(Value::Null);
        body["status"] = if worked.is_ok() { "RUNNING" } else { "ERROR" }.into();
        let access = json!({"endpoint": "203.0.113.40", "masterAuth": {"clusterCaCertificate": BASE64.encode(&authority)}});
        merge(body, &access);
        worked.map(|()| Value::Null)
    });
    Ok(state.begin(call, Begin { kind: "CREATE_CLUSTER", target: &target, work: None, finish }))
}
