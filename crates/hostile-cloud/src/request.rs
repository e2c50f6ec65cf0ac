//! Requests, and what becomes of them.

use serde_json::Value;

use crate::answer::{Answer, Refusal, Reply};
use crate::api::Api;
use crate::apis;
use crate::call::Call;
use crate::faults::Fault;
use crate::policy::Policy;
use crate::recorded::Recorded;
use crate::schemas::{self, Problem};
use crate::state::State;
use crate::tokens::{Issuer, TOKEN_PATH};

/// A request as it came in.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    /// The first part of the path, which names the host of an API.
    pub(crate) host: String,
    /// The rest of the path.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: String,
    /// Whether it has the header that the metadata server wants.
    pub(crate) metadata_flavor: bool,
    pub(crate) body: Vec<u8>,
}

/// What becomes of a request: an answer, or a closed connection.
pub(crate) fn answer(request: &Incoming, state: &mut State) -> Option<Answer> {
    if request.host == "computeMetadata" {
        return Some(metadata(request, state).unwrap_or_else(|refusal| refusal.answer(None)));
    }
    let form = || url::form_urlencoded::parse(&request.body).into_owned().collect::<Vec<_>>();
    let now = state.clock.now();
    if format!("{}/{}", request.host, request.path) == TOKEN_PATH {
        return Some(state.tokens.by_assertion(&form(), now).unwrap_or_else(|refusal| refusal.answer(None)));
    }
    let api = Api::at(&request.host);
    if api == Some(Api::Aura) && request.path == "oauth/token" {
        let answered = state.tokens.by_client(&request.authorization, &form(), now);
        return Some(answered.unwrap_or_else(|refusal| refusal.answer(api)));
    }
    let body = serde_json::from_slice::<Value>(&request.body).ok();
    let (id, answered) = described(request, body.clone(), state);
    let answered = answered.map(|reply| reply.unwrap_or_else(|refusal| refusal.answer(api)));
    state.requests.push(Recorded {
        method: request.method.clone(),
        host: request.host.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        body: body.unwrap_or_default(),
        id,
        status: answered.as_ref().map_or(0, |answer| answer.status),
    });
    answered
}

/// The metadata server, which gives tokens to programs in Google's machines.
fn metadata(request: &Incoming, state: &mut State) -> Reply {
    if !request.metadata_flavor {
        return Err(Refusal::denied("Missing Metadata-Flavor:Google header."));
    }
    let now = state.clock.now();
    let account = "v1/instance/service-accounts/default/";
    match request.path.strip_prefix(account).unwrap_or(&request.path) {
        "token" => Ok(state.tokens.by_metadata(now)),
        "email" => Ok(Value::from(state.tokens.email.clone()).into()),
        "v1/project/project-id" => Ok(Value::from(state.project.id.clone()).into()),
        "v1/project/numeric-project-id" => Ok(Value::from(state.project.number).into()),
        "v1/universe/universe-domain" => Ok(Value::from("googleapis.com").into()),
        other => Err(Refusal::not_found(other)),
    }
}

/// A request to an API: the name of its method and the answer.
fn described(request: &Incoming, body: Option<Value>, state: &mut State) -> (&'static str, Option<Reply>) {
    let Incoming { method, host, path, query, .. } = request;
    let found = match schemas::find(method, host, path, query, body.as_ref()) {
        Ok(found) => found,
        Err(violation) => {
            let refusal = match &violation.problem {
                Problem::NoSuchMethod => Refusal::not_found(path),
                problem => Refusal::invalid(format!("Invalid JSON payload received. {problem}")),
            };
            state.violations.push(violation);
            return ("", Some(Err(refusal)));
        }
    };
    let mut call = Call::new(found, body);
    if let Err(refusal) = admitted(&call, &request.authorization, state) {
        return (call.id, Some(Err(refusal)));
    }
    let fault = state.faults.decide(&call, path);
    let refused = |refusal: Refusal| Some(Err(refusal));
    let answered = match &fault {
        Some(Fault::Throttled { retry_after }) => refused(Refusal::throttled(*retry_after)),
        Some(Fault::Quota) => refused(Refusal::quota(
            "Quota exceeded for quota metric 'Mutate requests' and limit 'Mutate requests per minute'.",
        )),
        Some(Fault::Unavailable(code)) => refused(Refusal::new(
            *code,
            "UNAVAILABLE",
            "backendError",
            "The service is currently unavailable.",
        )),
        Some(Fault::Refused { code, status, message }) => {
            refused(Refusal::new(*code, status, status, message.clone()))
        }
        Some(Fault::Dropped) => None,
        Some(Fault::LostReply) => {
            // Whether it was refused or not: the client does not learn it.
            drop(apis::answer(&call, state));
            None
        }
        Some(Fault::Raced) => {
            state.policies.values_mut().for_each(Policy::change);
            Some(apis::answer(&call, state))
        }
        Some(Fault::OperationFails { .. }) | None => {
            call.fails = fault.as_ref().and_then(Fault::failure);
            Some(apis::answer(&call, state))
        }
    };
    (call.id, answered)
}

/// Refuses a call without a valid token, to an API or project that is not there, or without permission.
fn admitted(call: &Call, authorization: &str, state: &mut State) -> Result<(), Refusal> {
    let now = state.clock.now();
    if call.api == Api::Aura {
        if state.tokens.admits(authorization, Issuer::Aura, now) {
            return Ok(());
        }
        return Err(Refusal::denied("Forbidden"));
    }
    if !state.tokens.admits(authorization, Issuer::Google, now) {
        return Err(Refusal::unauthenticated());
    }
    let Project { id, number } = Project::of(state);
    if let Some(project) = call.project().filter(|project| *project != id && *project != number) {
        return Err(Refusal::no_permission(&permission(call.id), &format!("projects/{project}")));
    }
    let host = call.api.host();
    if call.api.must_be_enabled() && (!state.project.enabled.contains(host) || state.is_unseen(host)) {
        let message = format!(
            "{host} has not been used in project {number} before or it is disabled. Enable it, then retry. If you enabled \
             this API recently, wait a few minutes for the action to propagate to our systems and retry."
        );
        let consumer = format!("projects/{number}");
        let info = serde_json::json!({"service": host, "consumer": consumer});
        return Err(Refusal::denied(message).with_info("SERVICE_DISABLED", &info));
    }
    if call.api.is_billed() && !state.project.billing {
        let message = format!(
            "This API method requires billing to be enabled. Please enable billing on project #{number}."
        );
        return Err(
            Refusal::denied(message).with_info("BILLING_DISABLED", &serde_json::json!({"service": host}))
        );
    }
    let permission = permission(call.id);
    if state.project.lacking.contains(&permission) {
        return Err(Refusal::no_permission(&permission, &format!("projects/{id}")));
    }
    Ok(())
}

/// How the project is named.
struct Project {
    id: String,
    number: String,
}

impl Project {
    fn of(state: &State) -> Self {
        Self { id: state.project.id.clone(), number: state.project.number.to_string() }
    }
}

/// The permission that a method needs: `run.services.create` for `run.projects.locations.services.create`.
pub(crate) fn permission(id: &str) -> String {
    let id = id.replace("projects.locations.", "").replace("projects.", "");
    let (rest, verb) = id.rsplit_once('.').unwrap_or((&id, ""));
    let (api, resource) = rest.split_once('.').unwrap_or((rest, "projects"));
    let api = match api {
        "sql" => "cloudsql",
        "cloudresourcemanager" => "resourcemanager",
        other => other,
    };
    let (resource, verb) = match (resource, verb) {
        ("secrets", "addVersion") => ("versions", "add"),
        ("secrets.versions", verb) => ("versions", verb),
        ("services", "batchEnable") => ("services", "enable"),
        ("services.connections", "create" | "patch") => ("services", "addPeering"),
        ("services", "batchGet") | ("services.connections", _) => ("services", "get"),
        ("repositories.dockerImages", verb) => ("dockerimages", verb),
        (resource, "insert") => (resource, "create"),
        (resource, "patch") => (resource, "update"),
        other => other,
    };
    format!("{api}.{resource}.{verb}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_named_as_google_names_them() {
        for (id, wanted) in [
            ("run.projects.locations.services.create", "run.services.create"),
            ("sql.instances.insert", "cloudsql.instances.create"),
            ("secretmanager.projects.secrets.addVersion", "secretmanager.versions.add"),
            ("secretmanager.projects.secrets.versions.access", "secretmanager.versions.access"),
            ("iam.projects.serviceAccounts.create", "iam.serviceAccounts.create"),
            ("cloudresourcemanager.projects.setIamPolicy", "resourcemanager.projects.setIamPolicy"),
            ("serviceusage.services.batchEnable", "serviceusage.services.enable"),
            ("compute.firewalls.patch", "compute.firewalls.update"),
        ] {
            assert_eq!(permission(id), wanted);
        }
    }
}
