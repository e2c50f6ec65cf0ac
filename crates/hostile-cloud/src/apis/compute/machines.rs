//! Machines of Compute Engine. One whose `user-data` starts Neo4j has a real one.

use serde_json::{Value, json};

use super::{change, exists, fingerprint, full, link};
use crate::answer::{Refusal, Reply};
use crate::apis::missing;
use crate::apis::secrets::{self, ACCESSOR};
use crate::call::Call;
use crate::state::State;

/// Too small for Neo4j.
const TOO_SMALL: &str = "e2-micro";

pub(super) fn answer(call: &Call, state: &mut State, verb: &str, name: &str) -> Reply {
    match verb {
        "getSerialPortOutput" => Ok(serial_port(call, state, name).into()),
        "setMetadata" => {
            let body = state.get(name)?;
            if call.body["fingerprint"] != body["metadata"]["fingerprint"] {
                let message = "Supplied fingerprint does not match current metadata fingerprint.";
                return Err(Refusal::new(412, "ABORTED", "conditionNotMet", message));
            }
            let mut metadata = call.body.clone();
            metadata["fingerprint"] = fingerprint(state).into();
            Ok(change(call, state, name, "setMetadata", move |body| body["metadata"] = metadata))
        }
        "stop" => {
            state.graphs.remove(name);
            Ok(change(call, state, name, "stop", |body| body["status"] = "TERMINATED".into()))
        }
        "start" => Ok(change(call, state, name, "start", |body| body["status"] = "RUNNING".into())),
        _ => Err(missing(call)),
    }
}

/// Checks what a machine refers to, and fills in what it has by default.
pub(super) fn prepare(call: &Call, state: &mut State, name: &str, body: &mut Value) -> Result<(), Refusal> {
    for account in body["serviceAccounts"].as_array().into_iter().flatten() {
        let email = account["email"].as_str().unwrap_or_default();
        let resource = format!("projects/{}/serviceAccounts/{email}", state.project.id);
        let permission = "iam.serviceAccounts.actAs";
        if !state.resources.contains_key(&resource) || state.project.lacking.contains(permission) {
            return Err(Refusal::invalid(format!(
                "The user does not have access to service account '{email}'."
            )));
        }
    }
    for interface in body["networkInterfaces"].as_array_mut().into_iter().flatten() {
        for (field, kind) in [("network", "networks"), ("subnetwork", "subnetworks")] {
            let Some(reference) = interface[field].as_str().map(str::to_owned) else { continue };
            let name = full(state, call, kind, &reference);
            exists(state, &name)?;
            interface[field] = link(state, &name).into();
            if kind == "subnetworks" {
                interface["network"] = state.resources[&name]["network"].clone();
            }
        }
        if interface["networkIP"].is_null() {
            interface["networkIP"] = "10.30.0.2".into();
        }
    }
    let folder = name.rsplit_once("/instances/").map(|(place, _)| place).unwrap_or_default();
    for (number, disk) in body["disks"].as_array_mut().into_iter().flatten().enumerate() {
        let source = if let Some(source) = disk["source"].as_str() {
            let source = source.find("projects/").map_or(source, |at| &source[at..]).to_owned();
            exists(state, &source)?;
            source
        } else {
            // A disk of its own, made with the machine.
            let id = name.rsplit('/').next().unwrap_or_default();
            let id = if number == 0 { id.to_owned() } else { format!("{id}-{number}") };
            let size = disk["initializeParams"]["diskSizeGb"].as_str().unwrap_or("10");
            let own = json!({"kind": "compute#disk", "name": id, "sizeGb": size, "status": "READY"});
            let source = format!("{folder}/disks/{id}");
            state.resources.insert(source.clone(), own);
            source
        };
        disk["source"] = link(state, &source).into();
    }
    body["metadata"]["fingerprint"] = fingerprint(state).into();
    Ok(())
}

/// A machine is there, and boots.
pub(super) fn started(state: &mut State, name: &str) {
    if let Some(body) = state.resources.get_mut(name) {
        body["status"] = "RUNNING".into();
    }
    boot(state, name);
}

/// A machine goes, with the disks that go with it.
pub(super) fn gone(state: &mut State, name: &str) {
    state.graphs.remove(name);
    let disks = state.resources.get(name).map(|body| body["disks"].clone()).unwrap_or_default();
    for disk in disks.as_array().into_iter().flatten().filter(|disk| disk["autoDelete"] == true) {
        let source = disk["source"].as_str().unwrap_or_default();
        state.remove(&source[source.find("projects/").unwrap_or(0)..]);
    }
}

/// What a machine is to start, by its `user-data`.
fn user_data(body: &Value) -> &str {
    let items = body["metadata"]["items"].as_array().into_iter().flatten();
    let given = items.filter(|item| item["key"] == "user-data" || item["key"] == "startup-script");
    given.filter_map(|item| item["value"].as_str()).find(|text| !text.is_empty()).unwrap_or_default()
}

/// The password that the machine fetches at its start, or why it cannot.
fn password(state: &State, body: &Value) -> Result<String, String> {
    let data = user_data(body);
    if !data.contains("neo4j") {
        return Err("nothing to start".to_owned());
    }
    if body["machineType"].as_str().is_some_and(|kind| kind.ends_with(TOO_SMALL)) {
        return Err("neo4j: Out of memory: Killed process".to_owned());
    }
    if !has_internet(state, body) {
        return Err(
            "neo4j: cannot pull the image: no route to the internet (no external address and no NAT)"
                .to_owned(),
        );
    }
    let (secret, version) = secret_in(data).ok_or("neo4j: user-data names no secret with the password")?;
    let name = format!("projects/{}/secrets/{secret}", state.project.id);
    let email = body["serviceAccounts"][0]["email"].as_str().unwrap_or_default();
    if !state.allows(email, ACCESSOR, &name) {
        return Err(format!("neo4j: 403: {email} may not access {name}"));
    }
    let data = secrets::read(state, &name, &version)
        .map_err(|_| format!("neo4j: 404: {name}/versions/{version}"))?;
    String::from_utf8(data).map_err(|_| "neo4j: the password is no text".to_owned())
}

/// The secret and version in a URL such as `…/projects/P/secrets/S/versions/1:access`.
fn secret_in(data: &str) -> Option<(String, String)> {
    let part = |text: &str| {
        text.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect::<String>()
    };
    let (_, rest) = data.split_once("/secrets/")?;
    let secret = part(rest);
    let version = part(rest.strip_prefix(&secret)?.strip_prefix("/versions/")?);
    Some((secret, version))
}

/// Whether a machine has an external address, or its network a router with NAT.
fn has_internet(state: &State, body: &Value) -> bool {
    let interface = &body["networkInterfaces"][0];
    let nat = |router: &Value| {
        router["network"] == interface["network"]
            && router["nats"].as_array().is_some_and(|nats| !nats.is_empty())
    };
    interface["accessConfigs"].is_array()
        || state.resources.iter().any(|(name, body)| name.contains("/routers/") && nat(body))
}

/// Starts what a running machine is to start, as soon as it can.
pub(super) fn boot(state: &mut State, name: &str) {
    let Some(body) = state.resources.get(name).filter(|body| body["status"] == "RUNNING").cloned() else {
        return;
    };
    if !state.options.processes || state.graphs.has(name) {
        return;
    }
    let Ok(password) = password(state, &body) else { return };
    let port = memcloud_test_servers::free_port();
    let graph = state.graphs.at(name, port);
    let (options, certificates) = (state.options.clone(), state.graphs.certificates());
    // The machine's serial port shows whether it has come up.
    std::thread::spawn(move || graph.start(&options, certificates, port, &password));
}

fn serial_port(call: &Call, state: &mut State, name: &str) -> Value {
    let body = state.resources.get(name).cloned().unwrap_or_default();
    let line = match password(state, &body) {
        Err(why) => why,
        Ok(_) if !state.options.processes || state.graphs.runs(name) => "neo4j: INFO  Started.".to_owned(),
        Ok(_) => "neo4j: INFO  Starting...".to_owned(),
    };
    let text = format!("systemd: Started cloud-init.\n{line}\n");
    let start = call.query("start").and_then(|start| start.parse().ok()).unwrap_or(0);
    let contents = text.get(start..).unwrap_or_default();
    json!({"kind": "compute#serialPortOutput", "contents": contents, "start": start.to_string(), "next": text.len().to_string()})
}

/// The addresses of machines in the network, each with where it really is.
pub(in crate::apis) fn addresses(state: &mut State) -> Vec<(String, String)> {
    let machines: Vec<String> = state
        .resources
        .keys()
        .filter(|name| name.contains("/zones/") && name.contains("/instances/"))
        .cloned()
        .collect();
    let mut addresses = Vec::new();
    for name in &machines {
        boot(state, name);
        let address = state.resources[name]["networkInterfaces"][0]["networkIP"].as_str().map(str::to_owned);
        if let (Some(address), Some(port)) = (address, state.graphs.port(name)) {
            addresses.push((format!("{address}:7687"), format!("localhost:{port}")));
        }
    }
    addresses
}
