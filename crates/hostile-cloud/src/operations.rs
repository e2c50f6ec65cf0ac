//! Long-running operations, of all five kinds.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::{Failure, Outcome};

/// What takes long, such as the start of a process. It runs on a thread of its own.
pub(crate) type Work = Box<dyn FnOnce() -> Outcome<()> + Send>;
/// What an operation changes when it is done. It answers what the operation responds with.
pub(crate) type Finish<S> = Box<dyn FnOnce(&mut S, Outcome<()>) -> Outcome + Send>;

/// One operation.
struct Operation<S> {
    place: Place,
    kind: &'static str,
    /// The full name of what it works on.
    target: String,
    work: Arc<OnceLock<Outcome<()>>>,
    finish: Option<Finish<S>>,
    outcome: Option<Outcome>,
}

/// Where and when an operation began.
pub(crate) struct Place {
    pub(crate) api: Api,
    pub(crate) project: String,
    pub(crate) location: String,
    /// The address of the cloud.
    pub(crate) base: String,
    pub(crate) begun: String,
    /// How many polls find it pending, after its work is done.
    pub(crate) polls: u32,
}

/// An operation whose work is done.
pub(crate) struct Due<S> {
    pub(crate) id: String,
    pub(crate) worked: Outcome<()>,
    pub(crate) finish: Finish<S>,
}

/// All operations, by the last part of their names. `S` is the state that they change.
pub(crate) struct Operations<S> {
    by_id: BTreeMap<String, Operation<S>>,
    /// Whether all stay pending.
    pub(crate) held: bool,
}

/// An operation that is about to begin.
pub(crate) struct Begin<'a, S> {
    pub(crate) kind: &'static str,
    pub(crate) target: &'a str,
    pub(crate) work: Option<Work>,
    pub(crate) finish: Finish<S>,
}

impl<S> Default for Operations<S> {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), held: false }
    }
}

impl<S> Operations<S> {
    /// Whether an operation on this resource is pending.
    pub(crate) fn busy(&self, target: &str) -> bool {
        self.by_id.values().any(|operation| operation.target == target && operation.outcome.is_none())
    }

    /// Adds an operation, and begins its work on a thread of its own. Answers it as pending.
    pub(crate) fn add(
        &mut self,
        id: &str,
        place: Place,
        begin: Begin<'_, S>,
        fails: Option<Failure>,
    ) -> Value {
        let slot = Arc::new(OnceLock::new());
        match (fails, begin.work) {
            (Some(failure), _) => drop(slot.set(Err(failure))),
            (None, None) => drop(slot.set(Ok(()))),
            (None, Some(work)) => {
                let slot = Arc::clone(&slot);
                std::thread::spawn(move || slot.set(work()));
            }
        }
        let operation = Operation {
            kind: begin.kind,
            target: begin.target.to_owned(),
            work: slot,
            finish: Some(begin.finish),
            outcome: None,
            place,
        };
        let answer = operation.render(id);
        self.by_id.insert(id.to_owned(), operation);
        answer
    }

    /// An operation in the form of its API.
    pub(crate) fn render(&self, id: &str) -> Option<Value> {
        self.by_id.get(id).map(|operation| operation.render(id))
    }

    /// Polls the pending operations that `which` selects by their ids and targets, and answers those whose work is done and
    /// that are to be finished.
    pub(crate) fn due(&mut self, which: impl Fn(&str, &str) -> bool) -> Vec<Due<S>> {
        let mut due = Vec::new();
        for (id, operation) in &mut self.by_id {
            if self.held || operation.outcome.is_some() || !which(id, &operation.target) {
                continue;
            }
            let Some(worked) = operation.work.get() else { continue };
            if operation.place.polls > 0 {
                operation.place.polls -= 1;
            } else if let Some(finish) = operation.finish.take() {
                due.push(Due { id: id.clone(), worked: worked.clone(), finish });
            }
        }
        due
    }

    /// Ends an operation.
    pub(crate) fn end(&mut self, id: &str, outcome: Outcome) {
        if let Some(operation) = self.by_id.get_mut(id) {
            operation.outcome = Some(outcome);
        }
    }
}

impl<S> Operation<S> {
    /// In the form of its API.
    fn render(&self, id: &str) -> Value {
        match self.place.api {
            Api::Sql => self.sql(id),
            Api::Compute => self.compute(id),
            Api::Clusters => self.cluster(id),
            Api::Services | Api::Peering | Api::Projects => self.common(&format!("operations/{id}")),
            _ => self.common(&format!(
                "projects/{}/locations/{}/operations/{id}",
                self.place.project, self.place.location
            )),
        }
    }

    fn common(&self, name: &str) -> Value {
        let mut json =
            json!({"name": name, "metadata": {"target": self.target, "createTime": self.place.begun}});
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

    fn sql(&self, id: &str) -> Value {
        let base = &self.place.base;
        let project = &self.place.project;
        let mut json = json!({
            "kind": "sql#operation",
            "name": id,
            "status": if self.outcome.is_some() { "DONE" } else { "PENDING" },
            "operationType": self.kind,
            "targetId": self.target.rsplit('/').next(),
            "targetProject": project,
            "targetLink": format!("{base}/{}/v1/{}", Api::Sql.host(), self.target),
            "selfLink": format!("{base}/{}/v1/projects/{project}/operations/{id}", Api::Sql.host()),
            "insertTime": self.place.begun,
        });
        if let Some(Err(Failure { code, message })) = &self.outcome {
            let error = json!({"kind": "sql#operationError", "code": code, "message": message});
            json["error"] = json!({"kind": "sql#operationErrors", "errors": [error]});
        }
        json
    }

    fn compute(&self, id: &str) -> Value {
        let base = &self.place.base;
        let done = self.outcome.is_some();
        let place = match self.place.location.as_str() {
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
            "selfLink": format!("{link}/projects/{}/{place}/operations/{id}", self.place.project),
            "insertTime": self.place.begun,
        });
        if let Some((part, name)) = place.split_once('/') {
            let field = part.trim_end_matches('s');
            json[field] = format!("{link}/projects/{}/{part}/{name}", self.place.project).into();
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
            "startTime": self.place.begun,
            "location": self.place.location,
        });
        if let Some(Err(failure)) = &self.outcome {
            json["error"] = json!({"code": failure.number(), "message": failure.message});
        }
        json
    }
}
