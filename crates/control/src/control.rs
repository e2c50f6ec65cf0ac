//! What a console does with instances, for the callers of its API.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use memcloud_api::native::{CreatedKey, Key, NewKey};
use memcloud_client::Client;
use memcloud_domain::{Clock, Timestamp};
use memcloud_tasks::Tasks;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::doctor::Examined;
use crate::instances::{Name, Settings, State, TargetKind, Topology, Wanted};
use crate::operations::{Event, Runner};
use crate::reconcile::{Operations, Probe};
use crate::secrets::Secrets;
use crate::store::{ControlStore, Page, PageQuery};
use crate::targets::{Draft, Leftover, LogPart, LogPosition, Targets};
use crate::verify::{Capability, Evidence, capabilities};
use crate::{
    Actor, AuditEntry, Error, Instance, InstanceId, Operation, OperationId, OperationKind, OrganizationId,
    Plan,
};

/// Who asks, for whose instances.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose instances the caller sees.
    pub organization: OrganizationId,
    /// Who it is.
    pub actor: Actor,
    /// Where the request came from.
    pub from: Option<IpAddr>,
}

impl Caller {
    /// The control plane itself, acting on an instance.
    pub fn system(organization: OrganizationId) -> Self {
        Self { organization, actor: Actor::System, from: None }
    }

    /// The audit entry of something that this caller does.
    pub fn entry(&self, at: Timestamp, action: impl Into<String>, subject: impl Into<String>) -> AuditEntry {
        AuditEntry {
            organization: self.organization.clone(),
            at,
            actor: self.actor.clone(),
            from: self.from,
            action: action.into(),
            subject: subject.into(),
        }
    }
}

/// What a new instance is made from.
#[derive(Clone, Debug)]
pub struct NewInstance {
    /// Its name.
    pub name: Name,
    /// Where it runs.
    pub target: TargetKind,
    /// What it keeps its memory in; `None` to tell by the connections that are given.
    pub topology: Option<Topology>,
    /// Its connections and its model. The key is made here.
    pub settings: Settings,
    /// What its target is asked for in addition, such as a folder and an address.
    pub placement: Value,
}

/// What happens to the data of an instance that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// They stay, and are listed as left over.
    Keep,
    /// They are deleted.
    Delete,
}

/// The control plane.
pub struct Control {
    store: Arc<dyn ControlStore>,
    secrets: Secrets,
    targets: Targets,
    runner: Runner,
    clock: Arc<dyn Clock>,
    poke: Arc<Notify>,
}

impl Control {
    /// A control plane over this store. Its operations run as tasks of `tasks`.
    pub fn new(
        store: Arc<dyn ControlStore>,
        secrets: Secrets,
        targets: Targets,
        clock: Arc<dyn Clock>,
        tasks: Arc<Tasks>,
    ) -> Self {
        let runner = Runner::new(Arc::clone(&store), targets.clone(), Arc::clone(&clock), tasks);
        Self { store, secrets, targets, runner, clock, poke: Arc::default() }
    }

    /// Seals again what an earlier key has sealed, and goes on with the operations that were interrupted.
    pub async fn resume(&self) -> Result<(), Error> {
        let resealed = self.secrets.reseal().await?;
        if resealed > 0 {
            tracing::info!(resealed, "sealed settings again with the current key");
        }
        self.runner.resume().await
    }

    /// Wakes the reconciler.
    pub fn poked(&self) -> Arc<Notify> {
        Arc::clone(&self.poke)
    }

    /// What would be done to make this instance, also when something speaks against it.
    pub async fn plan(&self, caller: &Caller, new: &NewInstance) -> Result<(Instance, Draft), Error> {
        self.draft(caller, OperationKind::Create, new).await
    }

    async fn draft(
        &self,
        caller: &Caller,
        kind: OperationKind,
        new: &NewInstance,
    ) -> Result<(Instance, Draft), Error> {
        let mut instance = self.instance_of(caller, new)?;
        let draft = self.targets.get(new.target)?.plan(kind, &instance, &new.placement).await;
        if let Some(placement) = &draft.placement {
            instance.placement.clone_from(placement);
        }
        Ok((instance, draft))
    }

    /// Makes an instance. It is `queued` when this returns.
    pub async fn create(
        &self,
        caller: &Caller,
        mut new: NewInstance,
    ) -> Result<(Instance, Operation), Error> {
        new.settings.key = make_key();
        let (instance, draft) = self.plan(caller, &new).await?;
        let plan = draft.accepted()?;
        let operation = self.keep(caller, OperationKind::Create, &instance, &new.settings, plan).await?;
        Ok((instance, operation))
    }

    /// Makes an instance from a copy of this one's data.
    pub async fn clone_instance(
        &self,
        caller: &Caller,
        source: &InstanceId,
        name: Name,
    ) -> Result<(Instance, Operation), Error> {
        let source = self.instance(caller, source).await?;
        if source.topology != Topology::Embedded {
            let message =
                format!("only an embedded instance can be cloned, and this one is '{}'", source.topology);
            let hint =
                "make an instance with databases of its own, and copy with 'memcloud import'".to_owned();
            return Err(Error::WrongState { message, hint });
        }
        let settings = self.secrets.settings(&source.id).await?;
        let settings = Settings { key: make_key(), own_keys: Vec::new(), keyless: false, ..settings };
        let new = NewInstance {
            name,
            target: source.target,
            topology: Some(source.topology),
            settings,
            placement: json!({"source": source.placement}),
        };
        let (instance, draft) = self.draft(caller, OperationKind::Clone, &new).await?;
        let plan = draft.accepted()?;
        let operation = self.keep(caller, OperationKind::Clone, &instance, &new.settings, plan).await?;
        Ok((instance, operation))
    }

    async fn keep(
        &self,
        caller: &Caller,
        kind: OperationKind,
        instance: &Instance,
        settings: &Settings,
        plan: Plan,
    ) -> Result<Operation, Error> {
        let now = self.clock.now();
        let operation = Operation::new(instance, kind, plan, caller.actor.name().to_owned(), now);
        let sealed = self.secrets.seal(&instance.id, settings)?;
        let entry = caller.entry(now, format!("{kind} instance"), instance.name.as_str());
        self.store.create_instance(instance, &sealed, &operation, &entry).await?;
        self.runner.start(&operation.id);
        Ok(operation)
    }

    /// Begins an operation of an instance. `request` is what its target is asked for in addition.
    pub async fn begin(
        &self,
        caller: &Caller,
        id: &InstanceId,
        kind: OperationKind,
        request: &Value,
    ) -> Result<Operation, Error> {
        let instance = self.instance(caller, id).await?;
        may_begin(kind, &instance)?;
        let plan = self.targets.get(instance.target)?.plan(kind, &instance, request).await.accepted()?;
        let now = self.clock.now();
        let operation = Operation::new(&instance, kind, plan, caller.actor.name().to_owned(), now);
        let entry = caller.entry(now, format!("{kind} instance"), instance.name.as_str());
        self.store.begin_operation(&operation, &entry).await?;
        self.runner.start(&operation.id);
        Ok(operation)
    }

    /// Removes an instance, whose name the caller repeats.
    pub async fn delete(
        &self,
        caller: &Caller,
        id: &InstanceId,
        confirm: &str,
        data: Data,
    ) -> Result<Operation, Error> {
        let instance = self.instance(caller, id).await?;
        if confirm != instance.name.as_str() {
            let message = format!("it is not the name of the instance, which is '{}'", instance.name);
            return Err(Error::Invalid { field: "confirm", message });
        }
        let request = json!({"data": if data == Data::Delete { "delete" } else { "keep" }});
        self.begin(caller, id, OperationKind::Delete, &request).await
    }

    /// An instance of the caller's organization that is not removed.
    pub async fn instance(&self, caller: &Caller, id: &InstanceId) -> Result<Instance, Error> {
        let instance = self.store.instance(id).await?;
        let is_own = instance.organization == caller.organization && instance.state != State::Removed;
        if is_own { Ok(instance) } else { Err(Error::NotFound("instance")) }
    }

    /// The instance of an operation that was begun, also when it is removed by now.
    pub async fn instance_of_operation(&self, operation: &Operation) -> Result<Instance, Error> {
        self.store.instance(&operation.instance).await
    }

    /// The instances of the caller's organization, by name.
    pub async fn instances(
        &self,
        caller: &Caller,
        name: Option<&str>,
        page: &PageQuery,
    ) -> Result<Page<Instance>, Error> {
        self.store.instances(Some(&caller.organization), name, page).await
    }

    /// What an instance was seen to do.
    pub async fn capabilities(&self, instance: &InstanceId) -> Result<Vec<Capability>, Error> {
        Ok(capabilities(&self.store.evidence(instance).await?, self.clock.now()))
    }

    /// The same of several instances, in their order.
    pub async fn capabilities_of(&self, instances: &[Instance]) -> Result<Vec<Vec<Capability>>, Error> {
        let ids: Vec<InstanceId> = instances.iter().map(|instance| instance.id.clone()).collect();
        let mut seen: HashMap<InstanceId, Vec<Evidence>> = HashMap::new();
        for (instance, evidence) in self.store.evidence_of(&ids).await? {
            seen.entry(instance).or_default().push(evidence);
        }
        let now = self.clock.now();
        Ok(ids.iter().map(|id| capabilities(seen.get(id).map_or(&[], Vec::as_slice), now)).collect())
    }

    /// An operation of the caller's organization.
    pub async fn operation(&self, caller: &Caller, id: &OperationId) -> Result<Operation, Error> {
        let operation = self.store.operation(id).await?;
        if operation.organization == caller.organization {
            Ok(operation)
        } else {
            Err(Error::NotFound("operation"))
        }
    }

    /// The operations of the caller's organization, newest first.
    pub async fn operations(
        &self,
        caller: &Caller,
        instance: Option<&InstanceId>,
        page: &PageQuery,
    ) -> Result<Page<Operation>, Error> {
        self.store.operations(&caller.organization, instance, page).await
    }

    /// Asks an operation to stop.
    pub async fn cancel(&self, caller: &Caller, id: &OperationId) -> Result<Operation, Error> {
        let operation = self.operation(caller, id).await?;
        let entry = caller.entry(self.clock.now(), "cancel operation", id.as_str());
        self.store.cancel_operation(id, &entry).await?;
        self.runner.cancel(id);
        Ok(Operation { cancel: true, ..operation })
    }

    /// Runs an operation again that failed or was cancelled, from the first step that is not done.
    pub async fn retry(&self, caller: &Caller, id: &OperationId) -> Result<Operation, Error> {
        let operation = self.operation(caller, id).await?;
        // A removed instance has no settings any more, and its name may be another's.
        self.instance(caller, &operation.instance).await?;
        let entry = caller.entry(self.clock.now(), "retry operation", id.as_str());
        self.store.retry_operation(id, &entry).await?;
        self.runner.start(id);
        self.store.operation(id).await
    }

    /// The events of an operation after this number, at least one; `None` when it has ended and there are no more.
    pub async fn next_events(&self, id: &OperationId, after: u64) -> Result<Option<Vec<Event>>, Error> {
        /// The most events that are read at once.
        const PART: usize = 200;
        loop {
            // First the news, then the events: what comes in between is announced.
            let news = self.runner.news(id);
            let events = self.store.events(id, after, PART).await?;
            if !events.is_empty() {
                return Ok(Some(events));
            }
            match news {
                Some(mut news) => {
                    // It ends with the operation; then the events are read once more.
                    let _ = news.changed().await;
                }
                None => return Ok(None),
            }
        }
    }

    /// A client of the instance, with the key of the control plane.
    pub async fn client(&self, instance: &Instance) -> Result<Client, Error> {
        let url = instance.url.as_deref().ok_or_else(|| not_running(instance))?;
        let settings = self.secrets.settings(&instance.id).await?;
        Ok(Client::new(url, Some(settings.key.into()))?)
    }

    /// The keys of an instance, without their secrets.
    pub async fn keys(&self, caller: &Caller, id: &InstanceId) -> Result<Vec<Key>, Error> {
        let instance = self.instance(caller, id).await?;
        Ok(self.client(&instance).await?.keys().await?.keys)
    }

    /// Makes a key of an instance. It is shown this once.
    pub async fn create_key(
        &self,
        caller: &Caller,
        id: &InstanceId,
        new: &NewKey,
    ) -> Result<CreatedKey, Error> {
        let instance = self.instance(caller, id).await?;
        let created = self.client(&instance).await?.create_key(new).await?;
        let subject = format!("{}/{}", instance.name, created.about.id);
        self.store.record(&caller.entry(self.clock.now(), "create key", subject)).await?;
        Ok(created)
    }

    /// Revokes a key of an instance: now, or at a later moment, until which another one replaces it.
    pub async fn revoke_key(
        &self,
        caller: &Caller,
        id: &InstanceId,
        key: &str,
        at: Option<Timestamp>,
    ) -> Result<Key, Error> {
        let instance = self.instance(caller, id).await?;
        let client = self.client(&instance).await?;
        let entry = caller.entry(self.clock.now(), "revoke key", format!("{}/{key}", instance.name));
        let Some(at) = at else {
            let revoked = client.revoke_key(key).await?;
            self.store.record(&entry).await?;
            return Ok(revoked);
        };
        let known = client.keys().await?.keys.into_iter().find(|known| known.id == key);
        let known = known.ok_or(Error::NotFound("key"))?;
        self.store.revoke_later(id, key, at, &entry).await?;
        Ok(known)
    }

    /// A part of the log of an instance.
    pub async fn log(&self, caller: &Caller, id: &InstanceId, from: LogPosition) -> Result<LogPart, Error> {
        let instance = self.instance(caller, id).await?;
        let part = self.targets.get(instance.target)?.log(&instance, from).await;
        part.map_err(|reason| Error::WrongState { message: reason.message, hint: reason.hint })
    }

    /// Examines now the parts of the control plane that the caller's organization rests on.
    pub async fn doctor(&self, caller: &Caller) -> Vec<Examined> {
        let all = PageQuery { limit: usize::MAX, cursor: None };
        let instances = match self.instances(caller, None, &all).await {
            Ok(page) => page.items,
            Err(error) => return vec![Examined::database(Some(&error))],
        };
        let mut unreadable = None;
        for instance in &instances {
            if let Err(error) = self.secrets.settings(&instance.id).await {
                unreadable.get_or_insert((instance, error));
            }
        }
        let mut parts = vec![Examined::database(None), Examined::sealing_key(unreadable)];
        // Side by side: one that does not answer delays no other.
        let observed = instances.into_iter().map(async |instance| {
            let target = match self.targets.get(instance.target) {
                Ok(target) => target,
                Err(error) => return Examined::without_target(instance, &error),
            };
            let observed = Probe::default().observe(&instance, &**target, self).await;
            Examined::instance(instance, observed)
        });
        parts.extend(join_all(observed).await);
        parts
    }

    /// What is there and belongs to no instance, as far as it is of the caller's organization. What is of none concerns the one
    /// that runs the machine.
    pub async fn leftovers(&self, caller: &Caller) -> Result<Vec<Leftover>, Error> {
        let first = self.store.first_organization().await?;
        let runs_machine = first.is_none_or(|first| first == caller.organization);
        let mut known =
            self.store.instances(None, None, &PageQuery { limit: usize::MAX, cursor: None }).await?.items;
        known.extend(self.store.removed_instances().await?);
        let at_targets = self.targets.all().map(async |(kind, target)| {
            let known: Vec<_> = known.iter().filter(|instance| instance.target == kind).cloned().collect();
            target.leftovers(&known).await
        });
        let mut found = join_all(at_targets).await.concat();
        found.retain(|leftover| {
            leftover.organization.as_ref().map_or(runs_machine, |owner| *owner == caller.organization)
        });
        Ok(found)
    }

    fn instance_of(&self, caller: &Caller, new: &NewInstance) -> Result<Instance, Error> {
        let now = self.clock.now();
        Ok(Instance {
            id: InstanceId::random(),
            organization: caller.organization.clone(),
            name: new.name.clone(),
            target: new.target,
            topology: topology(new)?,
            wanted: Wanted::Running,
            state: State::Queued,
            reason: None,
            url: None,
            version: None,
            has_llm: new.settings.llm.is_some(),
            placement: new.placement.clone(),
            created_at: now,
            changed_at: now,
        })
    }
}

/// A key with which the control plane manages an instance.
fn make_key() -> String {
    format!("mcc_{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

/// The topology that is asked for, or that the connections make.
fn topology(new: &NewInstance) -> Result<Topology, Error> {
    let made = Topology::of(new.target, &new.settings);
    match new.topology {
        // Google has a topology for each place of Neo4j, one's own among them.
        Some(asked @ (Topology::Aura | Topology::Vm | Topology::Gke)) if new.target == TargetKind::Google => {
            Ok(asked)
        }
        Some(asked) if asked != made => {
            let message = match asked {
                Topology::Aura | Topology::Vm | Topology::Gke => {
                    format!("'{asked}' is a topology of the target 'google'")
                }
                _ if new.target == TargetKind::Google && asked == Topology::Postgres => {
                    "'postgres' has no Neo4j, and one is given: use 'aura', 'vm' or 'gke'".to_owned()
                }
                _ if new.target == TargetKind::Google => {
                    format!(
                        "'{asked}' is not a topology of the target 'google', which has 'postgres', 'aura', 'vm' and 'gke'"
                    )
                }
                Topology::Neo4j => "an instance on Neo4j needs 'neo4j'".to_owned(),
                Topology::Postgres if new.settings.neo4j.is_none() => {
                    "an instance on PostgreSQL needs 'postgres'".to_owned()
                }
                _ => format!("it is '{asked}', and the connections that are given make it '{made}'"),
            };
            Err(Error::Invalid { field: "topology", message })
        }
        _ => Ok(made),
    }
}

fn may_begin(kind: OperationKind, instance: &Instance) -> Result<(), Error> {
    let (message, hint) = match (kind, instance.state) {
        (OperationKind::Delete, _) => return Ok(()),
        (_, State::Failed) => ("the instance could not be made", "retry its operation, or delete it"),
        (_, State::Removing) => ("the instance is removed", "delete it again to go on"),
        (OperationKind::Verify | OperationKind::Upgrade, State::Stopped) => {
            ("the instance is stopped", "start it first")
        }
        _ => return Ok(()),
    };
    Err(Error::WrongState { message: message.into(), hint: hint.into() })
}

fn not_running(instance: &Instance) -> Error {
    let message = format!("the instance is '{}' and has no address yet", instance.state);
    Error::WrongState { message, hint: "wait until it runs, or read its operation".into() }
}

#[async_trait]
impl Operations for Control {
    async fn begin(&self, instance: &InstanceId, kind: OperationKind) -> Result<(), Error> {
        let known = self.store.instance(instance).await?;
        let caller = Caller::system(known.organization);
        if kind == OperationKind::Delete {
            // Whether the data go as well is in the plan of the deletion that failed.
            let last =
                self.operations(&caller, Some(instance), &PageQuery { limit: 1, cursor: None }).await?;
            if let Some(last) = last.items.first().filter(|last| last.kind == kind) {
                return self.retry(&caller, &last.id).await.map(drop);
            }
        }
        Control::begin(self, &caller, instance, kind, &Value::Null).await.map(drop)
    }

    async fn client(&self, instance: &Instance) -> Result<Client, Error> {
        Control::client(self, instance).await
    }
}
