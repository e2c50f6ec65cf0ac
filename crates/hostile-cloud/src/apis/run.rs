//! Cloud Run: services and their revisions.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::compute::machines;
use super::secrets::{self, ACCESSOR};
use super::{images, is_name, merge, missing, policies};
use crate::answer::{Answer, Refusal, Reply};
use crate::call::Call;
use crate::failure::{Failure, Outcome};
use crate::operations::Begin;
use crate::policy::EVERYONE;
use crate::servers::{Container, Door, Image, Place, Probe, Spec};
use crate::state::State;
use crate::tokens::Issuer;

/// The role that permits to call a service.
const INVOKER: &str = "roles/run.invoker";
/// The roles that permit to connect to a Cloud SQL instance.
const SQL_CLIENTS: [&str; 4] =
    ["roles/cloudsql.client", "roles/cloudsql.editor", "roles/cloudsql.admin", "roles/editor"];
/// How long a subnetwork keeps the addresses of a service that is gone.
const ADDRESSES_KEPT: Duration = Duration::from_mins(90);
/// The longest time that a container may take to start.
const LONGEST_START: u64 = 240;

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    let parent = format!("projects/{}/locations/{}", state.project.id, call.location());
    let collection = format!("{parent}/services/");
    let name = format!("{collection}{}", call.part("servicesId"));
    let revision = format!("{name}/revisions/{}", call.part("revisionsId"));
    match call.id.trim_start_matches("run.projects.locations.") {
        "operations.get" | "operations.wait" => state.poll(call.part("operationsId")),
        "services.create" => {
            let name = format!("{collection}{}", call.required("serviceId")?);
            create(call, state, &name)
        }
        "services.patch" => patch(call, state, &name),
        "services.get" => Ok(state.get(&name)?.clone().into()),
        "services.list" => Ok(json!({"services": state.list(&collection)}).into()),
        "services.delete" => delete(call, state, &name),
        "services.getIamPolicy" => {
            state.get(&name)?;
            Ok(policies::get(state, &name))
        }
        "services.setIamPolicy" => {
            state.get(&name)?;
            policies::set(call, state, &name)
        }
        "services.revisions.get" => {
            state.look_at(&name);
            Ok(state.get(&revision)?.clone().into())
        }
        "services.revisions.list" => {
            state.get(&name)?;
            Ok(json!({"revisions": state.list(&format!("{name}/revisions/"))}).into())
        }
        "services.revisions.delete" => delete_revision(call, state, &name, &revision),
        _ => Err(missing(call)),
    }
}

fn create(call: &Call, state: &mut State, name: &str) -> Reply {
    state.open(call.location())?;
    state.free(name)?;
    // The deletion of a service with this name is still under way behind the API.
    if state.is_unseen(&deleted(name)) {
        return Err(Refusal::exists(name));
    }
    state.within_quota("run.services", "/services")?;
    valid(state, name, &call.body)?;
    if call.flag("validateOnly") {
        return Ok(json!({"name": format!("{name}/validated"), "done": true, "response": call.body}).into());
    }
    Ok(deploy(call, state, name, call.body.clone(), None))
}

fn deleted(name: &str) -> String {
    format!("the deletion of {name}")
}

fn patch(call: &Call, state: &mut State, name: &str) -> Reply {
    let Ok(current) = state.get(name).cloned() else {
        if call.flag("allowMissing") {
            return create(call, state, name);
        }
        return Err(Refusal::not_found(name));
    };
    let given = &call.body["etag"];
    if !given.is_null() && *given != current["etag"] {
        return Err(Refusal::aborted());
    }
    if state.operations.busy(name) {
        return Err(Refusal::new(409, "ABORTED", "conflict", format!("Conflict for resource '{name}'.")));
    }
    let wanted = match call.query("updateMask") {
        None => call.body.clone(),
        Some(mask) => {
            let mut wanted = asked(&current);
            for path in mask.split(',') {
                let field = path.split('.').next().unwrap_or_default();
                wanted[field] = call.body[field].clone();
            }
            wanted
        }
    };
    valid(state, name, &wanted)?;
    Ok(deploy(call, state, name, wanted, Some(current)))
}

/// The fields of a service that a client sets.
fn asked(service: &Value) -> Value {
    let fields = [
        "description",
        "labels",
        "annotations",
        "client",
        "clientVersion",
        "ingress",
        "launchStage",
        "scaling",
        "template",
        "traffic",
        "invokerIamDisabled",
        "defaultUriDisabled",
        "customAudiences",
    ];
    let there = fields.into_iter().filter_map(|field| Some((field.to_owned(), service.get(field)?.clone())));
    Value::Object(there.collect::<Map<_, _>>())
}

/// Refuses what Cloud Run refuses before it begins.
fn valid(state: &State, name: &str, body: &Value) -> Result<(), Refusal> {
    let id = name.rsplit('/').next().unwrap_or_default();
    if !is_name(id, 1..=49) {
        return Err(Refusal::invalid(format!("The service ID '{id}' is invalid.")));
    }
    let template = &body["template"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let containers = list(&template["containers"]);
    let [container] = containers.as_slice() else {
        return Err(Refusal::invalid("template.containers: this stand-in runs exactly one container."));
    };
    if container["image"].as_str().is_none_or(str::is_empty) {
        return Err(Refusal::invalid("template.containers[0].image is required."));
    }
    let account = template["serviceAccount"].as_str().unwrap_or_default();
    let resource = format!("projects/{}/serviceAccounts/{account}", state.project.id);
    let permission = "iam.serviceAccounts.actAs";
    if !state.resources.contains_key(&resource) || state.project.lacking.contains(permission) {
        return Err(Refusal::denied(format!(
            "Permission '{permission}' denied on service account {account} (or it may not exist)."
        )));
    }
    for variable in list(&container["env"]) {
        let name = variable["name"].as_str().unwrap_or_default();
        if ["PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"].contains(&name) {
            return Err(Refusal::invalid(format!("The environment variable {name} is reserved.")));
        }
    }
    let volumes = list(&template["volumes"]);
    for mount in list(&container["volumeMounts"]) {
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
        let volume =
            volume.ok_or_else(|| Refusal::invalid(format!("There is no volume {}.", mount["name"])))?;
        let path = mount["mountPath"].as_str().unwrap_or_default();
        if volume.get("cloudSqlInstance").is_some() && !["", "/cloudsql"].contains(&path) {
            return Err(Refusal::invalid("The mount path of a Cloud SQL volume must be /cloudsql."));
        }
    }
    let probe = &container["startupProbe"];
    let number = |field: &str, default: u64| probe[field].as_u64().unwrap_or(default);
    let (period, timeout) = (number("periodSeconds", 10), number("timeoutSeconds", 1));
    if period * number("failureThreshold", 3) > LONGEST_START || timeout > period {
        return Err(Refusal::invalid(format!(
            "startupProbe: the period times the threshold may be at most {LONGEST_START} s, and the timeout no longer than \
             the period."
        )));
    }
    Ok(())
}

/// Makes a new revision if the template has changed, and gives it the traffic that it is meant to have.
fn deploy(call: &Call, state: &mut State, name: &str, wanted: Value, current: Option<Value>) -> Answer {
    let id = name.rsplit('/').next().unwrap_or_default().to_owned();
    let generation =
        1 + current.as_ref().and_then(|body| body["generation"].as_str()?.parse::<u64>().ok()).unwrap_or(0);
    let same = current.as_ref().is_some_and(|body| body["template"] == wanted["template"]);
    let now = state.clock.text();
    let mut body = wanted;
    let kept = current.unwrap_or_else(|| {
        json!({"uid": format!("{:032x}", state.number()), "createTime": now, "creator": state.tokens.email})
    });
    for field in [
        "uid",
        "createTime",
        "creator",
        "latestReadyRevision",
        "latestCreatedRevision",
        "uri",
        "urls",
        "trafficStatuses",
    ] {
        if let Some(value) = kept.get(field) {
            body[field] = value.clone();
        }
    }
    merge(
        &mut body,
        &json!({
            "name": name,
            "generation": generation.to_string(),
            "observedGeneration": (generation - 1).to_string(),
            "updateTime": now,
            "lastModifier": state.tokens.email,
            "etag": format!("\"{:x}\"", state.number()),
            "reconciling": true,
            "terminalCondition": {"type": "Ready", "state": "CONDITION_RECONCILING", "lastTransitionTime": now},
        }),
    );
    if body["traffic"].as_array().is_none_or(Vec::is_empty) {
        body["traffic"] = json!([{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]);
    }
    let revision = (!same || call.flag("forceNewRevision")).then(|| {
        let given = body["template"]["revision"].as_str().map(str::to_owned);
        let revision =
            given.unwrap_or_else(|| format!("{id}-{generation:05}-{:03x}", state.number() & 0xfff));
        format!("{name}/revisions/{revision}")
    });
    let (mut work, mut checked) = (None, Ok(()));
    if let Some(revision) = &revision {
        body["latestCreatedRevision"] = revision.clone().into();
        let outcome = container(state, revision, &body["template"]);
        let mut made = body["template"].clone();
        merge(&mut made, &json!({"name": revision, "service": name, "createTime": now, "generation": "1"}));
        state.resources.insert(revision.clone(), made);
        match outcome {
            Ok(Some(container)) if state.options.processes => {
                work = Some(Box::new(move || started(&container)) as _);
            }
            Ok(_) => {}
            Err(failure) => checked = Err(failure),
        }
    }
    state.resources.insert(name.to_owned(), body);
    let target = name.to_owned();
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        finish(state, &target, revision.as_deref(), checked.and(worked))
    });
    state.begin(call, Begin { kind: "deploy", target: name, work, finish })
}

/// Starts a container, or says why it does not start.
fn started(container: &Container) -> Outcome<()> {
    container.address().map(drop).map_err(|error| {
        let message = format!(
            "The user-provided container failed to start and listen on the port defined provided by the PORT environment \
             variable within the allocated timeout: {error:#}"
        );
        Failure::new("HEALTH_CHECK_CONTAINER_ERROR", message)
    })
}

/// A condition as the API answers it.
fn condition(kind: &str, worked: &Outcome<()>, now: &str) -> Value {
    let mut condition = json!({"type": kind, "state": "CONDITION_SUCCEEDED", "lastTransitionTime": now});
    if let Err(failure) = worked {
        condition["state"] = "CONDITION_FAILED".into();
        condition["message"] = failure.message.clone().into();
        let field = if failure.code.starts_with("HEALTH_CHECK") { "revisionReason" } else { "reason" };
        condition[field] = failure.code.clone().into();
    }
    condition
}

/// What is so when a deployment has come to its end.
fn finish(state: &mut State, name: &str, revision: Option<&str>, worked: Outcome<()>) -> Outcome {
    let now = state.clock.text();
    if let Some(revision) = revision
        && let Some(body) = state.resources.get_mut(revision)
    {
        let kinds = ["Ready", "ContainerReady", "ResourcesAvailable"];
        body["conditions"] = kinds.map(|kind| condition(kind, &worked, &now)).to_vec().into();
    }
    // An operation can be done while its service does not serve; in the other clouds it ends in the error.
    let silent = state.is_hostile();
    let Some(body) = state.resources.get_mut(name) else { return Err(Failure::new("NOT_FOUND", name)) };
    body["reconciling"] = false.into();
    body["observedGeneration"] = body["generation"].clone();
    if let (Some(revision), Ok(())) = (revision, &worked) {
        body["latestReadyRevision"] = revision.into();
    }
    let of_service = worked.map_err(|failure| {
        let id = revision.unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let message = format!("Revision '{id}' is not ready and cannot serve traffic. {}", failure.message);
        Failure { code: failure.code, message }
    });
    body["terminalCondition"] = condition("Ready", &of_service, &now);
    body["conditions"] = json!([
        condition("RoutesReady", &of_service, &now),
        condition("ConfigurationsReady", &of_service, &now)
    ]);
    route(state, name);
    let body = state.resources[name].clone();
    match of_service {
        Err(failure) if !silent => Err(failure),
        _ => Ok(body),
    }
}

/// Opens the doors of a service, and says where its traffic goes.
fn route(state: &mut State, name: &str) {
    let body = state.resources[name].clone();
    let latest = body["latestReadyRevision"].as_str().and_then(|name| name.rsplit('/').next());
    let mut statuses = body["traffic"].as_array().cloned().unwrap_or_default();
    for status in &mut statuses {
        if status["revision"].is_null()
            && let Some(latest) = latest
        {
            status["revision"] = latest.into();
        }
        if let Some(tag) = status["tag"].as_str().map(str::to_owned) {
            status["uri"] = door(state, name, Some(&tag)).into();
        }
    }
    let uri = door(state, name, None);
    if let Some(body) = state.resources.get_mut(name) {
        merge(body, &json!({"uri": uri, "urls": [uri], "trafficStatuses": statuses}));
    }
    // Revisions without traffic and without a tag run nowhere.
    for revision in state.list(&format!("{name}/revisions/")) {
        let full = revision["name"].as_str().unwrap_or_default();
        let id = full.rsplit('/').next().unwrap_or_default();
        let used = statuses.iter().any(|status| status["revision"] == id);
        if let Some(container) = state.containers.get(full).filter(|_| !used) {
            container.end();
        }
    }
}

/// The address of a service or of a tag of it; it stays the same.
fn door(state: &mut State, name: &str, tag: Option<&str>) -> String {
    let key = format!("{name}#{}", tag.unwrap_or_default());
    if !state.doors.contains_key(&key) {
        let place = Place { service: name.to_owned(), tag: tag.map(str::to_owned) };
        let door = Door::open(&state.entrance, place).unwrap_or_else(|error| panic!("{error:#}"));
        state.doors.insert(key.clone(), door);
    }
    state.doors.get(&key).map(Door::uri).unwrap_or_default()
}

/// The container for a request to a service, or the status and text of an answer in its place.
pub(crate) fn destination(
    state: &State,
    name: &str,
    tag: Option<&str>,
    authorization: &str,
) -> Result<Arc<Container>, (u16, &'static str)> {
    let body = state.resources.get(name).ok_or((404, "Not found."))?;
    if body["ingress"] == "INGRESS_TRAFFIC_INTERNAL_ONLY" {
        return Err((404, "Not found."));
    }
    let open = body["invokerIamDisabled"] == true
        || state.policies.get(name).is_some_and(|policy| policy.grants(INVOKER, EVERYONE));
    let known = !state.project.lacking.contains("run.routes.invoke")
        && state.tokens.admits(authorization, Issuer::Google, state.clock.now());
    if !open && !known {
        return Err((403, "Your client does not have permission to get URL / from this server."));
    }
    let targets = body["trafficStatuses"].as_array().map(Vec::as_slice).unwrap_or_default();
    let target = match tag {
        Some(tag) => targets.iter().find(|target| target["tag"] == tag),
        None => targets.iter().max_by_key(|target| target["percent"].as_u64()),
    };
    let revision = target.and_then(|target| target["revision"].as_str());
    let container =
        revision.and_then(|revision| state.containers.get(&format!("{name}/revisions/{revision}")));
    container.ok_or((503, "Service Unavailable"))
}

/// The container of a revision, or why it cannot be made; none where no processes are started.
fn container(state: &mut State, revision: &str, template: &Value) -> Outcome<Option<Arc<Container>>> {
    let container = &template["containers"][0];
    let image = container["image"].as_str().unwrap_or_default();
    if !images::exists(state, image) {
        return Err(Failure::new("CONTAINER_MISSING", format!("Image '{image}' not found.")));
    }
    in_network(state, revision, &template["vpcAccess"])?;
    let Some(program) = state.options.server.clone() else { return Ok(None) };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let texts =
        |value: &Value| list(value).iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    let account = template["serviceAccount"].as_str().unwrap_or_default();
    let id = revision.rsplit('/').next().unwrap_or_default();
    let service = revision.rsplit('/').nth(2).unwrap_or_default();
    let mut spec = Spec {
        image: Image { program, environment: state.options.image_environment.clone() },
        arguments: texts(&container["args"]),
        environment: ["K_SERVICE", "K_CONFIGURATION"]
            .map(|name| (name.to_owned(), service.to_owned()))
            .to_vec(),
        files: Vec::new(),
        mounts: Vec::new(),
        links: Vec::new(),
        hosts: if template["vpcAccess"].is_object() { machines::addresses(state) } else { Vec::new() },
        authorities: state.graphs.authorities_file().to_owned(),
        probe: probe(&container["startupProbe"]),
    };
    if spec.arguments.is_empty() {
        spec.arguments.push("serve".to_owned());
    }
    spec.environment.push(("K_REVISION".to_owned(), id.to_owned()));
    for variable in list(&container["env"]) {
        let name = variable["name"].as_str().unwrap_or_default().to_owned();
        let reference = &variable["valueSource"]["secretKeyRef"];
        let value = match (variable["value"].as_str(), reference["secret"].as_str()) {
            (_, Some(secret)) => {
                let data = secret_of(state, account, secret, &reference["version"])?;
                String::from_utf8_lossy(&data).into_owned()
            }
            (value, None) => value.unwrap_or_default().to_owned(),
        };
        spec.environment.push((name, value));
    }
    let volumes = list(&template["volumes"]);
    for mount in list(&container["volumeMounts"]) {
        let Some(volume) = volumes.iter().find(|volume| volume["name"] == mount["name"]) else { continue };
        let path = mount["mountPath"].as_str().filter(|path| !path.is_empty()).unwrap_or("/cloudsql");
        spec.mounts.push(path.to_owned());
        if let Some(secret) = volume["secret"]["secret"].as_str() {
            for item in list(&volume["secret"]["items"]) {
                let data = secret_of(state, account, secret, &item["version"])?;
                spec.files.push((format!("{path}/{}", item["path"].as_str().unwrap_or_default()), data));
            }
        }
        for instance in texts(&volume["cloudSqlInstance"]["instances"]) {
            if reachable(state, account, &instance, template) {
                spec.links.push((format!("{path}/{instance}"), state.root.join("cloudsql").join(&instance)));
            }
        }
    }
    let number = state.containers.next();
    let container = Arc::new(Container::new(spec, &state.root, number));
    state.containers.insert(revision, Arc::clone(&container));
    Ok(Some(container))
}

/// Refuses a revision in a network, subnetwork or connector that is not there.
fn in_network(state: &State, revision: &str, access: &Value) -> Outcome<()> {
    let place: Vec<&str> = revision.split('/').collect();
    let (project, region) = (place[1], place[3]);
    let last = |value: &Value| value.as_str().and_then(|name| name.rsplit('/').next()).map(str::to_owned);
    let mut names = Vec::new();
    names.extend(
        last(&access["connector"]).map(|id| format!("projects/{project}/locations/{region}/connectors/{id}")),
    );
    for interface in access["networkInterfaces"].as_array().into_iter().flatten() {
        names
            .extend(last(&interface["network"]).map(|id| format!("projects/{project}/global/networks/{id}")));
        let subnetwork = last(&interface["subnetwork"]);
        names.extend(subnetwork.map(|id| format!("projects/{project}/regions/{region}/subnetworks/{id}")));
    }
    let gone = names.iter().find(|name| !state.resources.contains_key(*name));
    gone.map_or(Ok(()), |name| Err(Failure::new("VPC_NETWORK_NOT_FOUND", format!("{name} was not found."))))
}

fn probe(body: &Value) -> Probe {
    let number = |field: &str, default: u64| body[field].as_u64().unwrap_or(default);
    let default = if body.is_null() { LONGEST_START } else { 10 };
    let seconds =
        number("initialDelaySeconds", 0) + number("periodSeconds", default) * number("failureThreshold", 1);
    let path =
        body["httpGet"].is_object().then(|| body["httpGet"]["path"].as_str().unwrap_or("/").to_owned());
    Probe { path, within: Duration::from_secs(seconds) }
}

/// The data of a secret, if the account of the revision may read it.
fn secret_of(state: &State, account: &str, secret: &str, version: &Value) -> Outcome<Vec<u8>> {
    let id = secret.rsplit('/').next().unwrap_or_default();
    let name = format!("projects/{}/secrets/{id}", state.project.id);
    let version = version.as_str().unwrap_or("latest");
    let full = format!("{}/versions/{version}", state.numbered(&name));
    let failed = |why: &str| {
        Failure::new(
            "SECRETS_ACCESS_CHECK_FAILED",
            format!("{why} {full} for Revision service account {account}."),
        )
    };
    if !state.allows(account, ACCESSOR, &name) {
        return Err(failed("Permission denied on secret:"));
    }
    secrets::read(state, &name, version).map_err(|_| failed("Cannot find the enabled secret version"))
}

/// Whether a Cloud SQL instance can be reached from a revision.
fn reachable(state: &State, account: &str, connection: &str, template: &Value) -> bool {
    let project = format!("projects/{}", state.project.id);
    let instance = format!("{project}/instances/{}", connection.rsplit(':').next().unwrap_or_default());
    let Some(body) = state.resources.get(&instance) else { return false };
    let public = body["settings"]["ipConfiguration"]["ipv4Enabled"] != false;
    body["connectionName"] == connection
        && (public || template["vpcAccess"].is_object())
        && SQL_CLIENTS.iter().any(|role| state.allows(account, role, &project))
}

fn delete(call: &Call, state: &mut State, name: &str) -> Reply {
    let body = state.get(name)?.clone();
    if call.query("etag").is_some_and(|etag| body["etag"] != etag) {
        return Err(Refusal::aborted());
    }
    state.doors.retain(|key, _| !key.starts_with(&format!("{name}#")));
    let name = name.to_owned();
    let target = name.clone();
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        worked?;
        let within = format!("{name}/");
        state.containers.remove(&within);
        state.resources.retain(|other, _| !other.starts_with(&within));
        state.remove(&name);
        state.delay(&deleted(&name));
        keep_addresses(state, &name, &body);
        Ok(body)
    });
    Ok(state.begin(call, Begin { kind: "delete", target: &target, work: None, finish }))
}

/// The subnetworks of a service that is gone stay in use for a while, unless nothing here is late.
fn keep_addresses(state: &mut State, name: &str, service: &Value) {
    if state.faults.level.delay() == 0 {
        return;
    }
    let region = name.split('/').nth(3).unwrap_or_default();
    let until = state.clock.now() + ADDRESSES_KEPT;
    let interfaces = service["template"]["vpcAccess"]["networkInterfaces"].as_array();
    for interface in interfaces.into_iter().flatten() {
        let id = interface["subnetwork"].as_str().and_then(|name| name.rsplit('/').next());
        let Some(id) = id else { continue };
        let subnetwork = format!("projects/{}/regions/{region}/subnetworks/{id}", state.project.id);
        state.blocked.insert(subnetwork, until);
    }
}

fn delete_revision(call: &Call, state: &mut State, service: &str, revision: &str) -> Reply {
    let body = state.get(revision)?.clone();
    let id = revision.rsplit('/').next().unwrap_or_default();
    let statuses = state.get(service)?["trafficStatuses"].clone();
    if statuses.as_array().is_some_and(|all| all.iter().any(|status| status["revision"] == id)) {
        return Err(Refusal::precondition(format!("Revision {id} has traffic.")));
    }
    let name = revision.to_owned();
    let finish = Box::new(move |state: &mut State, worked: Outcome<()>| {
        worked?;
        state.containers.remove(&name);
        state.remove(&name);
        Ok(body)
    });
    Ok(state.begin(call, Begin { kind: "delete", target: revision, work: None, finish }))
}
