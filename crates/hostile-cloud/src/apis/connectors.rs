//! VPC Access: connectors between services and a network.

use serde_json::{Value, json};

use super::{is_name, merge, missing};
use crate::answer::{Refusal, Reply};
use crate::call::Call;
use crate::failure::Outcome;
use crate::operations::Begin;
use crate::state::State;

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    let collection = format!("projects/{}/locations/{}/connectors/", state.project.id, call.location());
    let name = format!("{collection}{}", call.part("connectorsId"));
    match call.id.trim_start_matches("vpcaccess.projects.locations.") {
        "operations.get" => state.poll(call.part("operationsId")),
        "connectors.create" => create(call, state, &collection),
        "connectors.get" => Ok(state.get(&name)?.clone().into()),
        "connectors.list" => Ok(json!({"connectors": state.list(&collection)}).into()),
        "connectors.delete" => {
            state.get(&name)?["state"] = "DELETING".into();
            let target = name.clone();
            let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
                worked?;
                state.remove(&name);
                Ok(json!({}))
            });
            Ok(state.begin(call, Begin { kind: "delete", target: &target, work: None, finish }))
        }
        _ => Err(missing(call)),
    }
}

fn create(call: &Call, state: &mut State, collection: &str) -> Reply {
    let id = call.required("connectorId")?;
    let number = |field: &str| call.body[field].as_u64().unwrap_or_default();
    let (least, most) = (number("minInstances"), number("maxInstances"));
    if !is_name(id, 1..=25) || !(2..=9).contains(&least) || !(3..=10).contains(&most) || most <= least {
        return Err(Refusal::invalid(
            "A connector has a name of at most 25 characters, 2 to 9 instances at least and 3 to 10 at most.",
        ));
    }
    state.open(call.location())?;
    let name = format!("{collection}{id}");
    state.free(&name)?;
    let network = call.text("/network").rsplit('/').next().unwrap_or_default();
    let network = format!("projects/{}/global/networks/{network}", state.project.id);
    state.get(&network)?;
    let mut body = call.body.clone();
    merge(&mut body, &json!({"name": name, "state": "CREATING"}));
    state.resources.insert(name.clone(), body);
    let target = name.clone();
    // One whose creation fails cannot be repaired.
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        let body = state.resources.entry(name).or_insert(Value::Null);
        body["state"] = if worked.is_ok() { "READY" } else { "ERROR" }.into();
        worked.map(|()| body.clone())
    });
    Ok(state.begin(call, Begin { kind: "create", target: &target, work: None, finish }))
}
