//! Service Networking: the peering through which private Cloud SQL instances are reached.

use serde_json::{Value, json};

use super::missing;
use super::sql::PEERING;
use crate::answer::{Refusal, Reply};
use crate::call::Call;
use crate::failure::{Failure, Outcome};
use crate::operations::Begin;
use crate::state::State;

/// The service of Google's that is peered with.
const SERVICE: &str = "services/servicenetworking.googleapis.com";

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    match call.id {
        "servicenetworking.operations.get" => state.poll(call.part("operationsId")),
        "servicenetworking.services.connections.create" => connect(call, state, false),
        "servicenetworking.services.connections.patch" => connect(call, state, call.flag("force")),
        "servicenetworking.services.connections.list" => {
            let network = network(state, call.required("network")?)?;
            let body = state.resources.get(&format!("{network}/{PEERING}"));
            Ok(body.map_or_else(|| json!({}), |body| json!({"connections": [body]})).into())
        }
        "servicenetworking.services.connections.deleteConnection" => disconnect(call, state),
        _ => Err(missing(call)),
    }
}

/// The full name of a network that is given by the number of the project.
fn network(state: &State, given: &str) -> Result<String, Refusal> {
    let by_number = format!("projects/{}/global/networks/", state.project.number);
    if !given.starts_with(&by_number) {
        return Err(Refusal::invalid(format!(
            "The network '{given}' must be named by the number of its project."
        )));
    }
    let name = state.named(given);
    if state.resources.contains_key(&name) { Ok(name) } else { Err(Refusal::not_found(given)) }
}

fn connect(call: &Call, state: &mut State, force: bool) -> Reply {
    let given = call.text("/network").to_owned();
    let network = network(state, &given)?;
    let ranges = call.body["reservedPeeringRanges"].clone();
    for range in ranges.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let name = format!("projects/{}/global/addresses/{range}", state.project.id);
        if state.resources.get(&name).is_none_or(|body| body["purpose"] != "VPC_PEERING") {
            return Err(Refusal::invalid(format!("The range '{range}' is not reserved for a peering.")));
        }
    }
    let name = format!("{network}/{PEERING}");
    let there = state.resources.get(&name);
    if !force && there.is_some_and(|body| body["reservedPeeringRanges"] != ranges) {
        return Err(Refusal::invalid(
            "Cannot modify allocated ranges in CreateConnection. Please use UpdateConnection.",
        ));
    }
    let body = json!({
        "network": given,
        "peering": "servicenetworking-googleapis-com",
        "service": SERVICE,
        "reservedPeeringRanges": ranges,
    });
    let target = name.clone();
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        worked?;
        state.resources.insert(name, body.clone());
        Ok(body)
    });
    Ok(state.begin(call, Begin { kind: "connect", target: &target, work: None, finish }))
}

fn disconnect(call: &Call, state: &mut State) -> Reply {
    let network = network(state, call.text("/consumerNetwork"))?;
    let name = format!("{network}/{PEERING}");
    state.get(&name)?;
    let target = name.clone();
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        worked?;
        let kept = state.blocked.get(&name).is_some_and(|until| *until > state.clock.now());
        let private =
            |body: &Value| body["settings"]["ipConfiguration"]["privateNetwork"].as_str().map(str::to_owned);
        let used =
            state.resources.values().filter_map(private).any(|other| state.named(&other).ends_with(&network));
        if kept || used {
            return Err(Failure::new(
                "FAILED_PRECONDITION",
                "Failed to delete connection; Producer services (e.g. CloudSQL, Cloud Memstore, etc.) are still using this \
                 connection.",
            ));
        }
        state.remove(&name);
        Ok(json!({}))
    });
    Ok(state.begin(call, Begin { kind: "disconnect", target: &target, work: None, finish }))
}
