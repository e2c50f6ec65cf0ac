//! Cloud SQL Admin: instances, their databases and users.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{is_name, merge, missing};
use crate::answer::{Refusal, Reply};
use crate::api::Api;
use crate::call::Call;
use crate::failure::Outcome;
use crate::operations::Begin;
use crate::servers::Database;
use crate::state::State;

/// How long the name of a deleted instance cannot be used again.
const BLOCKED: Duration = Duration::from_hours(7 * 24);
/// How long a deleted instance keeps its peering in use.
const RESTORABLE: Duration = Duration::from_hours(4 * 24);
/// The longest `PROJECT:INSTANCE`.
const LONGEST_NAME: usize = 98;
/// The peering through which private instances are reached, below the name of the network.
pub(crate) const PEERING: &str = "networkPeerings/servicenetworking-googleapis-com";

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    let collection = format!("projects/{}/instances/", state.project.id);
    let name = format!("{collection}{}", call.part("instance"));
    match call.id.trim_start_matches("sql.") {
        "instances.insert" => insert(call, state, &collection),
        "instances.list" => {
            let items = state.list(&collection);
            Ok(json!({"kind": "sql#instancesList", "items": items}).into())
        }
        "operations.get" => state.poll(call.part("operation")),
        "tiers.list" => Ok(json!({"kind": "sql#tiersList", "items": tiers(&state.project.id)}).into()),
        "instances.get" => instance(state, &name).map(|body| body.clone().into()),
        "instances.patch" => patch(call, state, &name),
        "instances.delete" => delete(call, state, &name),
        "instances.restart" => {
            let server = usable(state, &name)?;
            let work = Box::new(move || server.restart());
            Ok(change(call, state, &name, "RESTART", work, |_| {}))
        }
        rest => match rest.split_once('.') {
            Some(("databases", verb)) => databases(call, verb, state, &name),
            Some(("users", verb)) => users(call, verb, state, &name),
            _ => Err(missing(call)),
        },
    }
}

/// Blocks a name.
pub(crate) fn block(state: &mut State, name: &str) {
    let until = state.clock.now() + BLOCKED;
    state.blocked.insert(format!("projects/{}/instances/{name}", state.project.id), until);
}

/// An instance, or SQL's own way to say that there is none.
fn instance<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Value, Refusal> {
    state.get(name).map_err(|_| {
        Refusal::new(404, "NOT_FOUND", "instanceDoesNotExist", "The Cloud SQL instance does not exist.")
    })
}

/// The server of an instance that runs.
fn running(state: &mut State, name: &str) -> Result<Arc<Database>, Refusal> {
    let body = instance(state, name)?;
    let runs = body["state"] == "RUNNABLE" && body["settings"]["activationPolicy"] != "NEVER";
    if !runs {
        let message = "Invalid request: Invalid request since instance is not running.";
        return Err(Refusal::new(400, "INVALID_ARGUMENT", "invalid", message));
    }
    Ok(state.databases.of(name))
}

/// The server of an instance that runs and that no operation works on.
fn usable(state: &mut State, name: &str) -> Result<Arc<Database>, Refusal> {
    idle(state, name)?;
    running(state, name)
}

/// Refuses a second operation on an instance.
fn idle(state: &mut State, name: &str) -> Result<(), Refusal> {
    instance(state, name)?;
    if state.operations.busy(name) {
        let message = "Operation failed because another operation was already in progress. Try your request after the \
                       current operation is complete.";
        return Err(Refusal::new(409, "ABORTED", "operationInProgress", message));
    }
    Ok(())
}

/// Begins an operation on an instance, which changes the state if its work succeeds.
fn change(
    call: &Call,
    state: &mut State,
    name: &str,
    kind: &'static str,
    work: impl FnOnce() -> Outcome<()> + Send + 'static,
    then: impl FnOnce(&mut State) + Send + 'static,
) -> crate::answer::Answer {
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        worked?;
        then(state);
        Ok(json!({}))
    });
    let work = state.options.processes.then(|| Box::new(work) as _);
    state.begin(call, Begin { kind, target: name, work, finish })
}

fn insert(call: &Call, state: &mut State, collection: &str) -> Reply {
    let id = call.text("/name").to_owned();
    let project = state.project.id.clone();
    if !is_name(&id, 1..=LONGEST_NAME - 1 - project.len()) {
        return Err(Refusal::invalid(format!("Invalid request: instance name ({id}).")));
    }
    let name = format!("{collection}{id}");
    state.look_at(&name);
    let blocked = state.blocked.get(&name).is_some_and(|until| *until > state.clock.now());
    if blocked || state.resources.contains_key(&name) {
        let message = "The Cloud SQL instance already exists. When you delete an instance, you can't reuse the name of \
                       the deleted instance until one week from the deletion date.";
        return Err(Refusal::new(409, "ALREADY_EXISTS", "instanceAlreadyExists", message));
    }
    let region = match call.text("/region") {
        "" => "us-central1",
        region => region,
    }
    .to_owned();
    state.open(&region)?;
    state.within_quota("sql.instances", "/instances")?;
    fits(&call.body)?;
    let private = network(state, &call.body)?;

    let connection = format!("{project}:{region}:{id}");
    let mut body = defaults();
    merge(&mut body, &call.body);
    if let Some(fields) = body.as_object_mut() {
        fields.remove("rootPassword");
    }
    let mut addresses = Vec::new();
    if body["settings"]["ipConfiguration"]["ipv4Enabled"] != false {
        addresses.push(json!({"type": "PRIMARY", "ipAddress": "203.0.113.17"}));
        addresses.push(json!({"type": "OUTGOING", "ipAddress": "203.0.113.18"}));
    }
    if private.is_some() {
        addresses.push(json!({"type": "PRIVATE", "ipAddress": "10.40.0.3"}));
    }
    merge(
        &mut body,
        &json!({
            "kind": "sql#instance",
            "state": "PENDING_CREATE",
            "project": project,
            "region": region,
            "connectionName": connection,
            "selfLink": format!("{}/{}/v1/{name}", state.base, Api::Sql.host()),
            "createTime": state.clock.text(),
            "settings": {"settingsVersion": "1"},
            "serviceAccountEmailAddress": "p480215163742-fake@gcp-sa-cloud-sql.iam.gserviceaccount.com",
            "etag": "fake",
        }),
    );
    let tier = call.text("/settings/tier").to_owned();
    state.resources.insert(name.clone(), body);

    let server = state.databases.of(&name);
    let options = state.options.clone();
    let (root, password) = (state.root.clone(), call.text("/rootPassword").to_owned());
    let work = move || server.start(&options, &root, &connection, &tier, &password);
    let work = state.options.processes.then(|| Box::new(work) as _);
    let target = name.clone();
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        let good = worked.is_ok();
        if let Some(body) = state.resources.get_mut(&name) {
            body["state"] = if good { "RUNNABLE" } else { "FAILED" }.into();
            body["ipAddresses"] = addresses.into();
        }
        if good {
            add_user(state, &name, "postgres");
            add_database(state, &name, &json!({"name": "postgres"}));
        }
        worked.map(|()| json!({}))
    });
    Ok(state.begin(call, Begin { kind: "CREATE", target: &target, work, finish }))
}

/// What an instance has unless the request says otherwise.
fn defaults() -> Value {
    json!({
        "backendType": "SECOND_GEN",
        "instanceType": "CLOUD_SQL_INSTANCE",
        "gceZone": "us-central1-a",
        "settings": {
            "kind": "sql#settings",
            "activationPolicy": "ALWAYS",
            "availabilityType": "ZONAL",
            "pricingPlan": "PER_USE",
            "replicationType": "SYNCHRONOUS",
            "storageAutoResize": true,
            "storageAutoResizeLimit": "0",
            "dataDiskType": "PD_SSD",
            "dataDiskSizeGb": "10",
            "connectorEnforcement": "NOT_REQUIRED",
            "deletionProtectionEnabled": false,
            "ipConfiguration": {"ipv4Enabled": true},
        },
    })
}

/// Refuses a tier that the edition does not have.
fn fits(body: &Value) -> Result<(), Refusal> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let version = text("/databaseVersion");
    let Some(major) = version.strip_prefix("POSTGRES_").and_then(|number| number.parse::<u32>().ok()) else {
        return Err(Refusal::invalid(format!("This stand-in has no database of the version '{version}'.")));
    };
    let edition = match text("/settings/edition") {
        "" if major >= 16 => "ENTERPRISE_PLUS",
        "" => "ENTERPRISE",
        edition => edition,
    };
    let tier = text("/settings/tier");
    let of_plus = tier.starts_with("db-perf-optimized-") || tier.starts_with("db-c4a-");
    let of_enterprise = ["db-f1-micro", "db-g1-small"].contains(&tier) || tier.starts_with("db-custom-");
    if edition == "ENTERPRISE_PLUS" && of_plus || edition == "ENTERPRISE" && of_enterprise {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "Invalid request: Invalid Tier ({tier}) for ({edition}) Edition. Use a predefined Tier."
    )))
}

/// The network of a private instance, which must be peered.
fn network(state: &State, body: &Value) -> Result<Option<String>, Refusal> {
    let network = body.pointer("/settings/ipConfiguration/privateNetwork").and_then(Value::as_str);
    let Some(network) = network else { return Ok(None) };
    let name = network.find("projects/").map_or(network, |at| &network[at..]);
    let name = state.named(name);
    if !state.resources.contains_key(&format!("{name}/{PEERING}")) {
        let message = format!(
            "Invalid request: Incorrect Service Networking config for instance: the network {network} doesn't have at \
             least 1 private services connection.:SERVICE_NETWORKING_NOT_ENABLED"
        );
        return Err(Refusal::invalid(message));
    }
    Ok(Some(name))
}

fn patch(call: &Call, state: &mut State, name: &str) -> Reply {
    idle(state, name)?;
    let body = instance(state, name)?;
    let version = body["settings"]["settingsVersion"].clone();
    let given = &call.body["settings"]["settingsVersion"];
    if !given.is_null() && *given != version {
        let message = "The incoming request contained stale data. Please try again.";
        return Err(Refusal::new(412, "ABORTED", "staleData", message));
    }
    let next = version.as_str().and_then(|version| version.parse::<u64>().ok()).unwrap_or(1) + 1;
    let mut changed = body.clone();
    merge(&mut changed, &call.body);
    changed["settings"]["settingsVersion"] = next.to_string().into();
    fits(&changed)?;
    let (server, on) = (state.databases.of(name), changed["settings"]["activationPolicy"] != "NEVER");
    let work = move || {
        if on {
            server.run()
        } else {
            server.stop();
            Ok(())
        }
    };
    let target = name.to_owned();
    Ok(change(call, state, name, "UPDATE", work, move |state| {
        state.resources.insert(target, changed);
    }))
}

fn delete(call: &Call, state: &mut State, name: &str) -> Reply {
    idle(state, name)?;
    if instance(state, name)?["settings"]["deletionProtectionEnabled"] == true {
        let message = "The instance is protected. Please disable the deletion protection and try again.";
        return Err(Refusal::invalid(message));
    }
    let body = instance(state, name)?.clone();
    // The producer's side of the peering stays for as long as the instance could be restored.
    if let Ok(Some(network)) = network(state, &body) {
        let until = state.clock.now() + RESTORABLE;
        state.blocked.insert(format!("{network}/{PEERING}"), until);
    }
    let server = state.databases.of(name);
    let work = move || {
        server.stop();
        Ok(())
    };
    let target = name.to_owned();
    Ok(change(call, state, name, "DELETE", work, move |state| {
        let within = format!("{target}/");
        state.resources.retain(|other, _| !other.starts_with(&within));
        state.remove(&target);
        state.databases.remove(&target);
        block(state, target.rsplit('/').next().unwrap_or_default());
    }))
}

fn databases(call: &Call, verb: &str, state: &mut State, name: &str) -> Reply {
    let full = format!("{name}/databases/{}", call.part("database"));
    match verb {
        "list" => {
            running(state, name)?;
            let items = state.list(&format!("{name}/databases/"));
            Ok(json!({"kind": "sql#databasesList", "items": items}).into())
        }
        "get" => {
            running(state, name)?;
            Ok(state.get(&full)?.clone().into())
        }
        "insert" => {
            let server = usable(state, name)?;
            let (target, body) = (name.to_owned(), call.body.clone());
            let database = call.text("/name").to_owned();
            state.free(&format!("{name}/databases/{database}"))?;
            let work = move || server.create_database(&database);
            Ok(change(call, state, name, "CREATE_DATABASE", work, move |state| {
                add_database(state, &target, &body);
            }))
        }
        "delete" => {
            let server = usable(state, name)?;
            state.get(&full)?;
            let database = call.part("database").to_owned();
            let work = move || server.drop_database(&database);
            Ok(change(call, state, name, "DELETE_DATABASE", work, move |state| state.remove(&full)))
        }
        _ => Err(missing(call)),
    }
}

fn add_database(state: &mut State, instance: &str, given: &Value) {
    let mut body = json!({"kind": "sql#database", "charset": "UTF8", "collation": "en_US.UTF8"});
    merge(&mut body, given);
    let id = instance.rsplit('/').next().unwrap_or_default();
    merge(&mut body, &json!({"instance": id, "project": state.project.id, "etag": "fake"}));
    let name = format!("{instance}/databases/{}", body["name"].as_str().unwrap_or_default());
    state.resources.insert(name, body);
}

fn users(call: &Call, verb: &str, state: &mut State, name: &str) -> Reply {
    let named = call.query("name").unwrap_or_else(|| call.part("name")).to_owned();
    let full = format!("{name}/users/{named}");
    match verb {
        "list" => {
            running(state, name)?;
            let items = state.list(&format!("{name}/users/"));
            Ok(json!({"kind": "sql#usersList", "items": items}).into())
        }
        "get" => {
            running(state, name)?;
            Ok(state.get(&full)?.clone().into())
        }
        // As Cloud SQL does, inserting a user who is there sets the password.
        "insert" => {
            let server = usable(state, name)?;
            let (target, user) = (name.to_owned(), call.text("/name").to_owned());
            let (role, password) = (user.clone(), call.text("/password").to_owned());
            let work = move || server.set_user(&role, &password);
            Ok(change(call, state, name, "CREATE_USER", work, move |state| add_user(state, &target, &user)))
        }
        "update" => {
            let server = usable(state, name)?;
            state.get(&full)?;
            let password = call.text("/password").to_owned();
            Ok(change(call, state, name, "UPDATE_USER", move || server.set_user(&named, &password), |_| {}))
        }
        "delete" => {
            let server = usable(state, name)?;
            state.get(&full)?;
            let work = move || server.drop_user(&named);
            Ok(change(call, state, name, "DELETE_USER", work, move |state| state.remove(&full)))
        }
        _ => Err(missing(call)),
    }
}

fn add_user(state: &mut State, instance: &str, name: &str) {
    let id = instance.rsplit('/').next().unwrap_or_default();
    let body = json!({
        "kind": "sql#user", "name": name, "host": "", "instance": id, "project": state.project.id, "type": "BUILT_IN",
        "etag": "fake",
    });
    state.resources.insert(format!("{instance}/users/{name}"), body);
}

fn tiers(project: &str) -> Vec<Value> {
    let tier = |(name, ram): (&str, &str)| json!({"kind": "sql#tier", "tier": name, "RAM": ram, "DiskQuota": "3298534883328", "region": ["us-central1"], "project": project});
    [("db-f1-micro", "643825664"), ("db-g1-small", "1825361920"), ("db-custom-1-3840", "4026531840")]
        .map(tier)
        .into()
}
