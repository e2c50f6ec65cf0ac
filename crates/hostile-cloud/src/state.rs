//! Everything that exists in this cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::answer::{Answer, Refusal, Reply};
use crate::api::Api;
use crate::call::Call;
use crate::clock::Clock;
use crate::faults::{Faults, Injection};
use crate::operations::{Begin, Operations, Place};
use crate::options::Options;
use crate::policy::Policy;
use crate::recorded::Recorded;
use crate::schemas::Violation;
use crate::servers::{Containers, Databases, Door, Entrance, Graphs};
use crate::tokens::Tokens;

/// The whole cloud.
pub(crate) struct State {
    pub(crate) options: Options,
    /// The folder for everything: its path is short, because the paths of sockets are limited to 107 bytes.
    pub(crate) root: PathBuf,
    /// The address of this cloud, such as `http://127.0.0.1:9000`.
    pub(crate) base: String,
    pub(crate) clock: Clock,
    pub(crate) project: Project,
    pub(crate) tokens: Tokens,
    /// What exists, by full name: `projects/P/secrets/S`.
    pub(crate) resources: BTreeMap<String, Value>,
    /// What was here from the start.
    pub(crate) given: BTreeSet<String>,
    /// By the full name of what they are for.
    pub(crate) policies: BTreeMap<String, Policy>,
    /// The versions of each secret, the first one first.
    pub(crate) versions: BTreeMap<String, Vec<SecretVersion>>,
    /// Names that cannot be taken again until then.
    pub(crate) blocked: BTreeMap<String, Timestamp>,
    /// What some more requests do not see yet, with how many.
    pub(crate) unseen: BTreeMap<String, u32>,
    pub(crate) operations: Operations<State>,
    /// The operations that requests with an id began.
    pub(crate) request_ids: BTreeMap<String, String>,
    pub(crate) faults: Injection,
    pub(crate) requests: Vec<Recorded>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) databases: Databases,
    pub(crate) containers: Containers,
    pub(crate) graphs: Graphs,
    /// The addresses of services and of their tags.
    pub(crate) doors: BTreeMap<String, Door>,
    /// What the doors of services need.
    pub(crate) entrance: Entrance,
    numbers: u64,
}

/// The project.
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) billing: bool,
    /// The APIs that are on.
    pub(crate) enabled: BTreeSet<String>,
    /// The permissions that the caller lacks.
    pub(crate) lacking: BTreeSet<String>,
    /// The most of a kind of resource that may exist.
    pub(crate) quotas: BTreeMap<String, usize>,
    /// The regions that are out of service.
    pub(crate) closed: BTreeSet<String>,
}

/// One version of a secret.
#[derive(Clone, Debug)]
pub(crate) struct SecretVersion {
    pub(crate) data: Vec<u8>,
    /// `ENABLED`, `DISABLED` or `DESTROYED`.
    pub(crate) state: &'static str,
    pub(crate) created: String,
}

impl State {
    pub(crate) fn new(
        options: Options,
        root: PathBuf,
        base: String,
        graphs: Graphs,
        entrance: Entrance,
    ) -> Self {
        let mut state = Self {
            clock: Clock::default(),
            project: Project {
                id: options.project.clone(),
                number: options.number,
                billing: true,
                enabled: BTreeSet::from([Api::Projects, Api::Services].map(|api| api.host().to_owned())),
                lacking: BTreeSet::new(),
                quotas: BTreeMap::new(),
                closed: BTreeSet::new(),
            },
            tokens: Tokens::new(&options, &base),
            resources: BTreeMap::new(),
            given: BTreeSet::new(),
            policies: BTreeMap::new(),
            versions: BTreeMap::new(),
            blocked: BTreeMap::new(),
            unseen: BTreeMap::new(),
            operations: Operations::default(),
            request_ids: BTreeMap::new(),
            faults: Injection::new(options.faults, options.seed),
            requests: Vec::new(),
            violations: Vec::new(),
            databases: Databases::default(),
            containers: Containers::default(),
            graphs,
            doors: BTreeMap::new(),
            entrance,
            numbers: 0,
            options,
            root,
            base,
        };
        let project = format!("projects/{}", state.project.id);
        state.policies.insert(project, Policy::granting("roles/owner", crate::policy::FOREIGN_MEMBER));
        state
    }

    /// A number that was not given out before; the same ones in the same order for the same seed.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        let seed = self.options.seed.to_be_bytes();
        let hash = Sha256::new().chain_update(seed).chain_update(self.numbers.to_be_bytes()).finalize();
        hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A resource.
    pub(crate) fn get(&mut self, name: &str) -> Result<&mut Value, Refusal> {
        self.look_at(name);
        self.resources.get_mut(name).ok_or_else(|| Refusal::not_found(name))
    }

    /// Refuses a name that is taken.
    pub(crate) fn free(&mut self, name: &str) -> Result<(), Refusal> {
        self.look_at(name);
        if self.resources.contains_key(name) { Err(Refusal::exists(name)) } else { Ok(()) }
    }

    /// The resources directly in a collection, such as `projects/P/secrets/`.
    pub(crate) fn list(&self, collection: &str) -> Vec<Value> {
        let within = self.resources.range(collection.to_owned()..);
        let within = within.take_while(|(name, _)| name.starts_with(collection));
        within
            .filter(|(name, _)| !name[collection.len()..].contains('/'))
            .map(|(_, body)| body.clone())
            .collect()
    }

    /// Removes a resource with its policy.
    pub(crate) fn remove(&mut self, name: &str) {
        self.resources.remove(name);
        self.policies.remove(name);
    }

    /// Whether a change is not seen yet by this request; the next ones come closer to seeing it.
    pub(crate) fn is_unseen(&mut self, what: &str) -> bool {
        let Some(left) = self.unseen.get_mut(what) else { return false };
        *left -= 1;
        if *left == 0 {
            self.unseen.remove(what);
        }
        true
    }

    /// Hides a change from the next requests, as many as the faults say.
    pub(crate) fn delay(&mut self, what: &str) {
        let requests = self.faults.level.delay();
        if requests > 0 {
            self.unseen.insert(what.to_owned(), requests);
        }
    }

    /// Refuses a member of a policy that does not exist, or was created just now.
    pub(crate) fn see_account(&mut self, email: &str) -> Result<(), Refusal> {
        let name = format!("projects/{}/serviceAccounts/{email}", self.project.id);
        if self.resources.contains_key(&name) && !self.is_unseen(&name) {
            return Ok(());
        }
        Err(Refusal::invalid(format!("Service account {email} does not exist.")))
    }

    /// Whether a service account has a role on a resource or on the project.
    pub(crate) fn allows(&self, email: &str, role: &str, resource: &str) -> bool {
        let member = format!("serviceAccount:{email}");
        let project = format!("projects/{}", self.project.id);
        let policies = [resource, &project].into_iter().filter_map(|name| self.policies.get(name));
        policies.into_iter().any(|policy| policy.grants(role, &member))
    }

    /// The name with the number of the project instead of its id, as many APIs answer.
    pub(crate) fn numbered(&self, name: &str) -> String {
        let id = format!("projects/{}", self.project.id);
        match name.strip_prefix(&id) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                format!("projects/{}{rest}", self.project.number)
            }
            _ => name.to_owned(),
        }
    }

    /// The name with the id of the project instead of its number.
    pub(crate) fn named(&self, name: &str) -> String {
        let number = format!("projects/{}/", self.project.number);
        match name.strip_prefix(&number) {
            Some(rest) => format!("projects/{}/{rest}", self.project.id),
            None => name.to_owned(),
        }
    }

    /// Refuses one more resource of a kind than the quota of the project allows. `collection` is how names of the kind end,
    /// before the last slash.
    pub(crate) fn within_quota(&self, kind: &str, collection: &str) -> Result<(), Refusal> {
        let Some(most) = self.project.quotas.get(kind) else { return Ok(()) };
        let last =
            |name: &&String| name.rsplit_once('/').is_some_and(|(before, _)| before.ends_with(collection));
        let there = self.resources.keys().filter(last).count();
        if there < *most {
            return Ok(());
        }
        Err(Refusal::quota(format!(
            "Quota '{kind}' exceeded. Limit: {most}.0 for project {}.",
            self.project.number
        )))
    }

    /// Refuses a region that is out of service.
    pub(crate) fn open(&self, region: &str) -> Result<(), Refusal> {
        if self.project.closed.contains(region) {
            return Err(Refusal::denied(format!(
                "Location {region} is not found or access is unauthorized."
            )));
        }
        Ok(())
    }

    /// Whether faults beyond the documented rules happen.
    pub(crate) fn is_hostile(&self) -> bool {
        self.faults.level == Faults::Hostile
    }
}

/// Operations.
impl State {
    /// Begins an operation, and answers it as pending.
    pub(crate) fn begin(&mut self, call: &Call, begin: Begin<'_, Self>) -> Answer {
        let id = format!("{:016x}", self.number());
        let place = Place {
            api: call.api,
            project: self.project.id.clone(),
            location: call.location().to_owned(),
            base: self.base.clone(),
            begun: self.clock.text(),
            polls: self.faults.polls(&id),
        };
        self.operations.add(&id, place, begin, call.fails.clone()).into()
    }

    /// The operation that a poll asks for.
    pub(crate) fn poll(&mut self, id: &str) -> Reply {
        self.settle(|other, _| other == id);
        let operation = self.operations.render(id);
        operation.map(Answer::from).ok_or_else(|| Refusal::not_found(&format!("operations/{id}")))
    }

    /// A look at a resource, which is a poll of the operations on it.
    pub(crate) fn look_at(&mut self, target: &str) {
        self.settle(|_, other| other == target);
    }

    fn settle(&mut self, which: impl Fn(&str, &str) -> bool) {
        for due in self.operations.due(which) {
            let outcome = (due.finish)(self, due.worked);
            self.operations.end(&due.id, outcome);
        }
    }
}
