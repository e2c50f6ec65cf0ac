//! Compute Engine: networks and what is in them.

pub(super) mod machines;

use serde_json::{Value, json};

use super::sql::PEERING;
use super::{is_name, merge, missing};
use crate::answer::{Answer, Refusal, Reply};
use crate::api::Api;
use crate::call::Call;
use crate::failure::Outcome;
use crate::operations::Begin;
use crate::state::State;

/// The regions with zones `-a` and `-b`.
const REGIONS: [&str; 3] = ["us-central1", "europe-west1", "europe-west4"];
/// Machine types: name, processors and memory in MB.
const MACHINES: [(&str, u64, u64); 4] =
    [("e2-micro", 2, 1024), ("e2-small", 2, 2048), ("e2-medium", 2, 4096), ("e2-standard-2", 2, 8192)];
/// Fields that name other resources, with the collection of those.
const REFERENCES: [(&str, &str); 2] = [("network", "networks"), ("subnetwork", "subnetworks")];

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    let (collection, verb) = call.id.trim_start_matches("compute.").split_once('.').unwrap_or_default();
    match (collection, verb) {
        ("globalOperations" | "regionOperations" | "zoneOperations", _) => state.poll(call.part("operation")),
        ("regions" | "zones", _) => places(call, state, collection),
        ("machineTypes", "get") => machine_type(call.part("machineType")),
        ("machineTypes", _) => {
            let items: Vec<Value> =
                MACHINES.iter().filter_map(|one| machine_type(one.0).ok()).map(|it| it.body).collect();
            Ok(json!({"kind": "compute#machineTypeList", "items": items}).into())
        }
        ("images", _) => {
            let link = format!("projects/{}/global/images/{}-1", call.part("project"), call.part("family"));
            Ok(json!({"kind": "compute#image", "family": call.part("family"), "status": "READY", "selfLink": link}).into())
        }
        (_, "insert") => insert(call, state, collection),
        (_, "list") => {
            let items = state.list(&collection_name(call, state, collection));
            let kind = format!("compute#{}List", singular(collection));
            Ok(if items.is_empty() { json!({"kind": kind}) } else { json!({"kind": kind, "items": items}) }
                .into())
        }
        _ => {
            let id = [
                "network",
                "subnetwork",
                "firewall",
                "address",
                "router",
                "instance",
                "disk",
                "resourcePolicy",
                "snapshot",
            ];
            let id = id.iter().map(|part| call.part(part)).find(|id| !id.is_empty()).unwrap_or_default();
            let name = format!("{}{id}", collection_name(call, state, collection));
            if collection == "instances" {
                machines::boot(state, &name);
            }
            state.get(&name).map_err(|_| not_found(&name))?;
            of_resource(call, state, collection, verb, &name)
        }
    }
}

fn of_resource(call: &Call, state: &mut State, collection: &str, verb: &str, name: &str) -> Reply {
    match (collection, verb) {
        (_, "get") => Ok(state.get(name)?.clone().into()),
        (_, "delete") => delete(call, state, collection, name),
        ("firewalls" | "routers", "patch") => {
            let given = call.body.clone();
            Ok(change(call, state, name, "patch", move |body| merge(body, &given)))
        }
        ("networks", "removePeering") => {
            let peering = format!("{name}/networkPeerings/{}", call.text("/name"));
            if !state.resources.contains_key(&peering) {
                let message = format!("There is no peering '{}' on the network.", call.text("/name"));
                return Err(Refusal::invalid(message));
            }
            let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
                worked?;
                state.remove(&peering);
                Ok(Value::Null)
            });
            Ok(state.begin(call, Begin { kind: "removePeering", target: name, work: None, finish }))
        }
        ("disks", "addResourcePolicies") => {
            let policies = call.body["resourcePolicies"].clone();
            for policy in policies.as_array().into_iter().flatten().filter_map(Value::as_str) {
                exists(state, policy)?;
            }
            Ok(change(call, state, name, "addResourcePolicies", move |body| {
                body["resourcePolicies"] = policies;
            }))
        }
        ("instances", verb) => machines::answer(call, state, verb, name),
        _ => Err(missing(call)),
    }
}

/// Begins an operation that changes the body of a resource.
fn change(
    call: &Call,
    state: &mut State,
    name: &str,
    kind: &'static str,
    change: impl FnOnce(&mut Value) + Send + 'static,
) -> Answer {
    let target = name.to_owned();
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        worked?;
        if let Some(body) = state.resources.get_mut(&target) {
            change(body);
        }
        Ok(Value::Null)
    });
    state.begin(call, Begin { kind, target: name, work: None, finish })
}

/// The singular of a collection.
fn singular(collection: &str) -> &str {
    match collection {
        "addresses" | "globalAddresses" => "address",
        "resourcePolicies" => "resourcePolicy",
        other => other.trim_end_matches('s'),
    }
}

/// The name of a collection with a slash at its end: `projects/P/regions/R/subnetworks/`.
fn collection_name(call: &Call, state: &State, collection: &str) -> String {
    let place = match (call.part("region"), call.part("zone")) {
        ("", "") => "global".to_owned(),
        ("", zone) => format!("zones/{zone}"),
        (region, _) => format!("regions/{region}"),
    };
    let collection = if collection == "globalAddresses" { "addresses" } else { collection };
    format!("projects/{}/{place}/{collection}/", state.project.id)
}

fn not_found(name: &str) -> Refusal {
    Refusal::new(404, "NOT_FOUND", "notFound", format!("The resource '{name}' was not found"))
}

/// The full name that a reference means: a link, a name or a part of one.
fn full(state: &State, call: &Call, collection: &str, reference: &str) -> String {
    let project = &state.project.id;
    if let Some(at) = reference.find("projects/") {
        return state.named(&reference[at..]);
    }
    match (collection, reference.contains('/')) {
        (_, true) => format!("projects/{project}/{reference}"),
        ("networks", _) => format!("projects/{project}/global/networks/{reference}"),
        _ => format!("projects/{project}/regions/{}/{collection}/{reference}", region(call.location())),
    }
}

/// The region of a region or zone.
fn region(location: &str) -> &str {
    match location.rsplit_once('-') {
        Some((region, zone)) if zone.len() == 1 => region,
        _ => location,
    }
}

/// Refuses a reference to what does not exist, or is not ready yet.
fn exists(state: &mut State, name: &str) -> Result<(), Refusal> {
    let name = name.find("projects/").map_or(name, |at| &name[at..]).to_owned();
    state.look_at(&name);
    if !state.resources.contains_key(&name) {
        return Err(not_found(&name));
    }
    if state.is_unseen(&name) {
        let message = format!("The resource '{name}' is not ready");
        return Err(Refusal::new(400, "FAILED_PRECONDITION", "resourceNotReady", message));
    }
    Ok(())
}

fn insert(call: &Call, state: &mut State, collection: &str) -> Reply {
    // A request that is repeated with the same id answers the operation of the first one.
    if let Some(id) = call.query("requestId").and_then(|id| state.request_ids.get(id)).cloned() {
        return state.poll(&id);
    }
    let id = call.text("/name").to_owned();
    if !is_name(&id, 1..=63) {
        return Err(Refusal::invalid(format!("Invalid value for field 'resource.name': '{id}'.")));
    }
    state.open(region(call.location()))?;
    let name = format!("{}{id}", collection_name(call, state, collection));
    state.free(&name)?;
    state.within_quota(collection, name.strip_suffix(&format!("/{id}")).unwrap_or_default())?;
    let mut body = call.body.clone();
    for (field, kind) in REFERENCES {
        if let Some(reference) = body[field].as_str().map(str::to_owned) {
            let full = full(state, call, kind, &reference);
            exists(state, &full)?;
            body[field] = link(state, &full).into();
        }
    }
    match collection {
        // Without the field, Google makes a network of the oldest kind.
        "networks" if body["autoCreateSubnetworks"] != false => {
            return Err(Refusal::invalid(
                "This stand-in makes networks with 'autoCreateSubnetworks': false only.",
            ));
        }
        "instances" => machines::prepare(call, state, &name, &mut body)?,
        _ => {}
    }
    let number = state.number();
    let place = body_of_place(state, call);
    merge(
        &mut body,
        &json!({
            "kind": format!("compute#{}", singular(collection)),
            "id": number.to_string(),
            "creationTimestamp": state.clock.text(),
            "selfLink": link(state, &name),
            "fingerprint": fingerprint(state),
        }),
    );
    merge(&mut body, &place);
    let own = match collection {
        "subnetworks" => json!({"gatewayAddress": "10.30.0.1", "purpose": "PRIVATE"}),
        "addresses" => {
            json!({"status": "RESERVED", "address": body["address"].as_str().unwrap_or("10.30.0.10")})
        }
        "globalAddresses" => {
            json!({"status": "RESERVED", "address": body["address"].as_str().unwrap_or("10.40.0.0")})
        }
        "firewalls" => json!({"direction": body["direction"].as_str().unwrap_or("INGRESS")}),
        "disks" | "resourcePolicies" => json!({"status": "READY"}),
        "instances" => json!({"status": "PROVISIONING"}),
        _ => json!({}),
    };
    merge(&mut body, &own);
    let (target, is_machine) = (name.clone(), collection == "instances");
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        worked?;
        state.resources.insert(name.clone(), body);
        if is_machine {
            machines::started(state, &name);
        } else {
            state.delay(&name);
        }
        Ok(Value::Null)
    });
    let answer = state.begin(call, Begin { kind: "insert", target: &target, work: None, finish });
    if let Some(id) = call.query("requestId") {
        let operation = answer.body["name"].as_str().unwrap_or_default().to_owned();
        state.request_ids.insert(id.to_owned(), operation);
    }
    Ok(answer)
}

/// The link of a resource.
fn link(state: &State, name: &str) -> String {
    format!("{}/{}/compute/v1/{name}", state.base, Api::Compute.host())
}

/// A new fingerprint, as base64.
fn fingerprint(state: &mut State) -> String {
    data_encoding::BASE64.encode(&state.number().to_be_bytes())
}

fn body_of_place(state: &State, call: &Call) -> Value {
    let place = |field: &str, collection: &str| match call.part(field) {
        "" => None,
        id => Some(json!({field: link(state, &format!("projects/{}/{collection}/{id}", state.project.id))})),
    };
    place("region", "regions").or_else(|| place("zone", "zones")).unwrap_or_else(|| json!({}))
}

fn delete(call: &Call, state: &mut State, collection: &str, name: &str) -> Reply {
    in_use(state, name)?;
    let target = name.to_owned();
    let is_machine = collection == "instances";
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        worked?;
        if is_machine {
            machines::gone(state, &target);
        }
        state.remove(&target);
        Ok(Value::Null)
    });
    Ok(state.begin(call, Begin { kind: "delete", target: name, work: None, finish }))
}

/// Refuses to delete what another resource uses.
fn in_use(state: &mut State, name: &str) -> Result<(), Refusal> {
    let by = |user: &str| {
        let message = format!("The {name} resource is already being used by '{user}'");
        Refusal::new(400, "FAILED_PRECONDITION", "resourceInUseByAnotherResource", message)
    };
    if state.blocked.get(name).is_some_and(|until| *until > state.clock.now()) {
        return Err(by("serverless-ipv4"));
    }
    if state.resources.contains_key(&format!("{name}/{PEERING}")) {
        return Err(by(PEERING));
    }
    let link = Value::from(link(state, name));
    let user = state.resources.iter().find(|(other, body)| *other != name && names(body, &link));
    user.map_or(Ok(()), |(user, _)| Err(by(user)))
}

/// Whether a body has this link anywhere.
fn names(body: &Value, link: &Value) -> bool {
    match body {
        Value::Object(fields) => {
            fields.iter().any(|(field, value)| field != "selfLink" && names(value, link))
        }
        Value::Array(items) => items.iter().any(|item| names(item, link)),
        other => other == link,
    }
}

fn places(call: &Call, state: &State, collection: &str) -> Reply {
    let all: Vec<String> = match collection {
        "regions" => REGIONS.map(str::to_owned).to_vec(),
        _ => REGIONS.iter().flat_map(|region| ["a", "b"].map(|zone| format!("{region}-{zone}"))).collect(),
    };
    let body = |id: &str| {
        let closed = state.project.closed.contains(region(id));
        let used = state
            .resources
            .keys()
            .filter(|name| name.contains("/zones/") && name.contains("/instances/"))
            .count();
        let quota = |(metric, usage): (&str, usize)| {
            let limit = state.project.quotas.get(metric).copied().unwrap_or(24);
            json!({"metric": metric, "limit": limit, "usage": usage})
        };
        json!({
            "kind": format!("compute#{}", singular(collection)),
            "name": id,
            "status": if closed { "DOWN" } else { "UP" },
            "quotas": [quota(("CPUS", 2 * used)), quota(("IN_USE_ADDRESSES", 0)), quota(("NETWORKS", 0))],
        })
    };
    let asked = call.part(singular(collection));
    if asked.is_empty() {
        let items: Vec<Value> = all.iter().map(|id| body(id)).collect();
        return Ok(json!({"kind": format!("compute#{}List", singular(collection)), "items": items}).into());
    }
    if all.iter().any(|id| id == asked) { Ok(body(asked).into()) } else { Err(not_found(asked)) }
}

fn machine_type(name: &str) -> Reply {
    let (_, processors, memory) =
        MACHINES.iter().find(|machine| machine.0 == name).ok_or_else(|| not_found(name))?;
    Ok(json!({"kind": "compute#machineType", "name": name, "guestCpus": processors, "memoryMb": memory})
        .into())
}
