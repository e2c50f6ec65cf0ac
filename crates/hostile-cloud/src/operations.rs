//! Long-running operations, of all five kinds.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal, Reply};
use crate::api::Api;
use crate::call::Call;
use crate::state::State;

/// How an operation ends in an error.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// A name such as `INTERNAL_ERROR`, as SQL and Compute give it.
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    /// The number of the code, as the other APIs give it.
    fn number(&self) -> u8 {
        match self.code.as_str() {
            "INVALID_ARGUMENT" => 3,
            "NOT_FOUND" => 5,
            "ALREADY_EXISTS" => 6,
            "PERMISSION_DENIED" => 7,
            "RESOURCE_EXHAUSTED" => 8,
            "FAILED_PRECONDITION" => 9,
            "ABORTED" => 10,
            "UNAVAILABLE" => 14,
            _ => 13,
        }
    }
}

/// What the work of an operation came to.
pub(crate) type Outcome<T = Value> = Result<T, Failure>;

/// What takes long, such as the start of a process. It runs on a thread of its own.
type Work = Box<dyn FnOnce() -> Outcome<()> + Send>;
/// What an operation changes when it is done. It answers what the operation responds with.
type Finish = Box<dyn FnOnce(&mut State, Outcome<()>) -> Outcome + Send>;

/// One operation.
struct Operation {
    api: Api,
    project: String,
    location: String,
    kind: &'static str,
    /// The full name of what it works on.
    target: String,
    begun: String,
    /// How many polls find it pending, after its work is done.
    polls: u32,
    work: Arc<OnceLock<Outcome<()>>>,
    finish: Option<Finish>,
    outcome: Option<Outcome>,
}

/// All operations, by the last part of their names.
#[derive(Default)]
pub(crate) struct Operations {
    by_id: BTreeMap<String, Operation>,
    /// Whether all stay pending.
    pub(crate) held: bool,
}

/// An operation that is about to begin.
pub(crate) struct Begin<'a> {
    pub(crate) kind: &'static str,
    pub(crate) target: &'a str,
    pub(crate) work: Option<Work>,
    pub(crate) finish: Finish,
}

impl Operations {
    /// Whether an operation on this resource is pending.
    pub(crate) fn busy(&self, target: &str) -> bool {
        self.by_id.values().any(|operation| operation.target == target && operation.outcome.is_none())
    }
}

impl State {
    /// Begins an operation, and answers it as pending.
    pub(crate) fn begin(&mut self, call: &Call, begin: Begin<'_>) -> Answer {
        let slot = Arc::new(OnceLock::new());
        match (&call.fails, begin.work) {
            (Some(failure), _) => drop(slot.set(Err(failure.clone()))),
            (None, None) => drop(slot.set(Ok(()))),
            (None, Some(work)) => {
                let slot = Arc::clone(&slot);
                std::thread::spawn(move || slot.set(work()));
            }
        }
        let id = format!("{:016x}", self.number());
        let polls = self.faults.polls(&id);
        let operation = Operation {
            api: call.api,
            project: self.project.id.clone(),
            location: call.location().to_owned(),
            kind: begin.kind,
            target: begin.target.to_owned(),
            begun: self.clock.text(),
            polls,
            work: slot,
            finish: Some(begin.finish),
            outcome: None,
        };
        let answer = operation.render(&id, &self.base);
        self.operations.by_id.insert(id, operation);
        answer.into()
    }

    /// The operation that a poll asks for.
    pub(crate) fn poll(&mut self, id: &str) -> Reply {
        self.settle(|other, _| other == id);
        let operation = self.operations.by_id.get(id);
        let operation = operation.ok_or_else(|| Refusal::not_found(&format!("operations/{id}")))?;
        Ok(operation.render(id, &self.base).into())
    }

    /// A look at a resource, which is a poll of the operations on it.
    pub(crate) fn look_at(&mut self, target: &str) {
        self.settle(|_, operation| operation.target == target);
    }

    /// Polls the pending operations that `which` selects.
    fn settle(&mut self, which: impl Fn(&str, &Operation) -> bool) {
        if self.operations.held {
            return;
        }
        let mut due = Vec::new();
        for (id, operation) in &mut self.operations.by_id {
            if operation.outcome.is_some() || !which(id, operation) {
                continue;
            }
            let Some(worked) = operation.work.get() else { continue };
            if operation.polls > 0 {
                operation.polls -= 1;
            } else if let Some(finish) = operation.finish.take() {
                due.push((id.clone(), worked.clone(), finish));
            }
        }
        for (id, worked, finish) in due {
            let outcome = finish(self, worked);
            if let Some(operation) = self.operations.by_id.get_mut(&id) {
                operation.outcome = Some(outcome);
            }
        }
    }
}

impl Operation {
    /// In the form of its API.
    fn render(&self, id: &str, base: &str) -> Value {
        match self.api {
            Api::Sql => self.sql(id, base),
            Api::Compute => self.compute(id, base),
            Api::Clusters => self.cluster(id),
            Api::Services | Api::Peering | Api::Projects => self.common(&format!("operations/{id}")),
            _ => {
                self.common(&format!("projects/{}/locations/{}/operations/{id}", self.project, self.location))
            }
        }
    }

    fn common(&self, name: &str) -> Value {
        let mut json = json!({"name": name, "metadata": {"target": self.target, "createTime": self.begun}});
        match &self.outcome {
            None => {}
            Some(Ok(response)) => {
                json["done"] = true.into();
                json["response"] = response.clone();
            }
            Some(Err(failure)) => {
                json["done"] = true.into();
                json["error"] = json!({"code": failure.number(), "message": failure.message});
            }
        }
        json
    }

    fn sql(&self, id: &str, base: &str) -> Value {
        let project = &self.project;
        let mut json = json!({
            "kind": "sql#operation",
            "name": id,
            "status": if self.outcome.is_some() { "DONE" } else { "PENDING" },
            "operationType": self.kind,
            "targetId": self.target.rsplit('/').next(),
            "targetProject": project,
            "targetLink": format!("{base}/{}/v1/{}", Api::Sql.host(), self.target),
            "selfLink": format!("{base}/{}/v1/projects/{project}/operations/{id}", Api::Sql.host()),
            "insertTime": self.begun,
        });
        if let Some(Err(Failure { code, message })) = &self.outcome {
            let error = json!({"kind": "sql#operationError", "code": code, "message": message});
            json["error"] = json!({"kind": "sql#operationErrors", "errors": [error]});
        }
        json
    }

    fn compute(&self, id: &str, base: &str) -> Value {
        let done = self.outcome.is_some();
        let place = match self.location.as_str() {
            "global" => "global".to_owned(),
            zone if zone.matches('-').count() > 1 => format!("zones/{zone}"),
            region => format!("regions/{region}"),
        };
        let link = format!("{base}/{}/compute/v1", Api::Compute.host());
        let mut json = json!({
            "kind": "compute#operation",
            "name": id,
            "status": if done { "DONE" } else { "RUNNING" },
            "progress": if done { 100 } else { 0 },
            "operationType": self.kind,
            "targetLink": format!("{link}/{}", self.target),
            "selfLink": format!("{link}/projects/{}/{place}/operations/{id}", self.project),
            "insertTime": self.begun,
        });
        if let Some((part, name)) = place.split_once('/') {
            let field = part.trim_end_matches('s');
            json[field] = format!("{link}/projects/{}/{part}/{name}", self.project).into();
        }
        if let Some(Err(Failure { code, message })) = &self.outcome {
            json["error"] = json!({"errors": [{"code": code, "message": message}]});
            json["httpErrorStatusCode"] = 400.into();
            json["httpErrorMessage"] = "BAD REQUEST".into();
        }
        json
    }

    fn cluster(&self, id: &str) -> Value {
        let mut json = json!({
            "name": id,
            "status": if self.outcome.is_some() { "DONE" } else { "RUNNING" },
            "operationType": self.kind,
            "targetLink": self.target,
            "startTime": self.begun,
            "location": self.location,
        });
        if let Some(Err(failure)) = &self.outcome {
            json["error"] = json!({"code": failure.number(), "message": failure.message});
        }
        json
    }
}
