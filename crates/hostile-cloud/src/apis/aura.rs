//! Neo4j Aura: instances of a tenant.

use serde_json::{Value, json};

use super::{merge, missing};
use crate::answer::{Answer, Refusal, Reply};
use crate::call::Call;
use crate::failure::Outcome;
use crate::operations::Begin;
use crate::state::State;

/// Where instances are, among the names of this cloud.
const COLLECTION: &str = "api.neo4j.io/instances/";
/// What a request for an instance must have.
const REQUIRED: [&str; 7] = ["version", "region", "memory", "name", "type", "tenant_id", "cloud_provider"];
/// The only place and size of a free instance.
const FREE: [(&str, &str); 3] = [("region", "europe-west1"), ("memory", "1GB"), ("cloud_provider", "gcp")];

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    let name = format!("{COLLECTION}{}", call.part("id"));
    match call.id {
        "aura.tenants.list" => {
            let tenant = json!({"id": state.tokens.aura.tenant_id, "name": "Tests"});
            Ok(json!({"data": [tenant]}).into())
        }
        "aura.tenants.get" => tenant(call, state),
        "aura.instances.list" => Ok(json!({"data": list(call, state)}).into()),
        "aura.instances.create" => create(call, state),
        _ => {
            let body = instance(state, &name)?;
            match call.id {
                "aura.instances.get" => Ok(json!({"data": body}).into()),
                "aura.instances.patch" => {
                    idle(&body, &["running"])?;
                    let merged = call.body.clone();
                    Ok(change(
                        call,
                        state,
                        &name,
                        "updating",
                        || Ok(()),
                        move |state, name| {
                            state.resources.get_mut(name).into_iter().for_each(|body| merge(body, &merged));
                            set(state, name, "running");
                        },
                    ))
                }
                "aura.instances.pause" => {
                    idle(&body, &["running"])?;
                    let graph = state.graphs.of(&name);
                    Ok(change(
                        call,
                        state,
                        &name,
                        "pausing",
                        move || {
                            graph.stop();
                            Ok(())
                        },
                        |state, name| set(state, name, "paused"),
                    ))
                }
                "aura.instances.resume" => {
                    idle(&body, &["paused"])?;
                    let graph = state.graphs.of(&name);
                    Ok(change(
                        call,
                        state,
                        &name,
                        "resuming",
                        move || graph.run(),
                        |state, name| set(state, name, "running"),
                    ))
                }
                "aura.instances.delete" => {
                    idle(&body, &["running", "paused", "loading failed"])?;
                    let graph = state.graphs.of(&name);
                    Ok(change(
                        call,
                        state,
                        &name,
                        "destroying",
                        move || {
                            graph.stop();
                            Ok(())
                        },
                        |state, name| {
                            state.graphs.remove(name);
                            state.remove(name);
                        },
                    ))
                }
                _ => Err(missing(call)),
            }
        }
    }
}

fn tenant(call: &Call, state: &State) -> Reply {
    let id = &state.tokens.aura.tenant_id;
    if call.part("tenantId") != id {
        return Err(Refusal::new(404, "NOT_FOUND", "tenant-not-found", "Tenant not found"));
    }
    let offers = |(kind, region, memory): (&str, &str, &str)| json!({"cloud_provider": "gcp", "type": kind, "region": region, "region_name": region, "memory": memory, "version": "5"});
    let offered = [
        ("free-db", "europe-west1", "1GB"),
        ("professional-db", "europe-west1", "1GB"),
        ("professional-db", "us-central1", "1GB"),
        ("professional-db", "us-central1", "2GB"),
    ];
    Ok(json!({"data": {"id": id, "name": "Tests", "instance_configurations": offered.map(offers)}}).into())
}

/// A few fields of each instance, as the API lists them.
fn list(call: &Call, state: &mut State) -> Vec<Value> {
    let names: Vec<String> =
        state.resources.keys().filter(|name| name.starts_with(COLLECTION)).cloned().collect();
    for name in &names {
        state.look_at(name);
    }
    let tenant = call.query("tenantId").map(str::to_owned);
    let there = state.list(COLLECTION).into_iter();
    let there =
        there.filter(|body| tenant.as_ref().is_none_or(|tenant| body["tenant_id"] == tenant.as_str()));
    let brief = |body: Value| {
        let fields = ["id", "name", "tenant_id", "cloud_provider", "created_at"];
        Value::Object(fields.iter().map(|field| ((*field).to_owned(), body[*field].clone())).collect())
    };
    there.map(brief).collect()
}

fn instance(state: &mut State, name: &str) -> Result<Value, Refusal> {
    let id = name.trim_start_matches(COLLECTION);
    let missing = || Refusal::new(404, "NOT_FOUND", "db-not-found", format!("DB not found: {id}"));
    state.get(name).cloned().map_err(|_| missing())
}

/// Refuses a change while another one is under way.
fn idle(body: &Value, statuses: &[&str]) -> Result<(), Refusal> {
    let status = body["status"].as_str().unwrap_or_default();
    if statuses.contains(&status) {
        return Ok(());
    }
    let message = format!("The database has the status {status}, which does not permit this.");
    Err(Refusal::new(409, "ABORTED", "ongoing-database-operation", message))
}

fn set(state: &mut State, name: &str, status: &str) {
    if let Some(body) = state.resources.get_mut(name) {
        body["status"] = status.into();
    }
}

/// Begins a change; a look at the instance finds it done some time later.
fn change(
    call: &Call,
    state: &mut State,
    name: &str,
    status: &str,
    work: impl FnOnce() -> Outcome<()> + Send + 'static,
    then: impl FnOnce(&mut State, &str) + Send + 'static,
) -> Answer {
    set(state, name, status);
    let target = name.to_owned();
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        match worked {
            Ok(()) => then(state, &target),
            Err(_) => set(state, &target, "loading failed"),
        }
        Ok(Value::Null)
    });
    let work = state.options.processes.then(|| Box::new(work) as _);
    state.begin(call, Begin { kind: "change", target: name, work, finish });
    let body = state.resources.get(name).cloned().unwrap_or_default();
    Answer { status: 202, body: json!({"data": body}), retry_after: None }
}

/// Makes an instance. Names may be taken twice, and the password is shown this once.
fn create(call: &Call, state: &mut State) -> Reply {
    if let Some(field) = REQUIRED.iter().find(|field| call.body[**field].is_null()) {
        return Err(Refusal::invalid(format!("{field}: the field is required")));
    }
    let incapable =
        |message: &str| Refusal::new(400, "INVALID_ARGUMENT", "tenant-incapable-of-action", message);
    if call.body["tenant_id"] != state.tokens.aura.tenant_id.as_str() {
        return Err(incapable("The tenant is unknown."));
    }
    if call.body["type"] == "free-db" {
        if FREE.iter().any(|(field, value)| call.body[*field] != *value) {
            return Err(incapable("A free instance exists in europe-west1 of gcp with 1GB only."));
        }
        if state.list(COLLECTION).iter().any(|body| body["type"] == "free-db") {
            return Err(incapable("The tenant has its free instance already."));
        }
    }
    let id = format!("{:08x}", state.number() as u32);
    let name = format!("{COLLECTION}{id}");
    let password = format!("{:016x}_{:08x}", state.number(), state.number() as u32);
    let port = memcloud_test_servers::free_port();
    let url = if state.options.processes {
        format!("neo4j+s://localhost:{port}")
    } else {
        format!("neo4j+s://{id}.databases.neo4j.io")
    };
    let mut body = call.body.clone();
    merge(
        &mut body,
        &json!({"id": id, "connection_url": url, "created_at": state.clock.text(), "status": "creating"}),
    );
    state.resources.insert(name.clone(), body.clone());
    let (graph, certificates, options) =
        (state.graphs.of(&name), state.graphs.certificates(), state.options.clone());
    let secret = password.clone();
    let work = move || graph.start(&options, certificates, port, &secret);
    change(call, state, &name, "creating", work, |state, name| set(state, name, "running"));
    let mut shown = json!({"username": "neo4j", "password": password});
    for field in ["id", "connection_url", "tenant_id", "cloud_provider", "region", "type", "name"] {
        shown[field] = body[field].clone();
    }
    Ok(Answer { status: 202, body: json!({"data": shown}), retry_after: None })
}
