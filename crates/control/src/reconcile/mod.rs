//! Compares what is wanted of each instance with what is there, and closes the gap.
//!
//! [`decide`] is the whole judgment, without a side effect. The [`Reconciler`] observes, asks it, and acts: it marks what an
//! instance is, and begins operations, which do all work. It has no other input and keeps nothing but how often it tried, so
//! a restart of the console loses no more than that.

mod decide;
mod history;
mod observe;
mod revoke;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use memcloud_client::Client;
use memcloud_domain::{Clock, with_causes};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use decide::{Action, decide};
pub use history::History;
pub use observe::{Observation, Readiness};

use crate::instances::{Instance, State};
use crate::operations::OperationKind;
use crate::store::{ControlStore, InstanceChange, PageQuery};
use crate::targets::Targets;
use crate::{Error, InstanceId};
pub(crate) use observe::{Probe, no_answer};

/// How often what is wanted and what is there are compared.
const EVERY: Duration = Duration::from_secs(1);

/// What the reconciler needs of the control plane.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Begins an operation. [`Error::Busy`] if another one of the instance has not ended. For [`OperationKind::Delete`] it
    /// goes on with the deletion that failed, with the data kept or deleted as was asked for then.
    async fn begin(&self, instance: &InstanceId, kind: OperationKind) -> Result<(), Error>;

    /// A client of the instance, with the key of the control plane.
    async fn client(&self, instance: &Instance) -> Result<Client, Error>;
}

/// Watches all instances.
pub struct Reconciler {
    store: Arc<dyn ControlStore>,
    targets: Targets,
    operations: Arc<dyn Operations>,
    clock: Arc<dyn Clock>,
    watched: HashMap<InstanceId, Watched>,
    /// Whether the last comparison failed, which is logged when it begins and when it ends.
    is_failing: bool,
}

/// What is remembered of an instance between two comparisons.
#[derive(Default)]
struct Watched {
    history: History,
    probe: Probe,
}

impl Reconciler {
    /// A reconciler of the instances in this store.
    pub fn new(
        store: Arc<dyn ControlStore>,
        targets: Targets,
        operations: Arc<dyn Operations>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, targets, operations, clock, watched: HashMap::new(), is_failing: false }
    }

    /// Compares every second, and at once when it is poked, until it is asked to stop.
    pub async fn run(mut self, poke: Arc<Notify>, stop: CancellationToken) {
        let work = async {
            loop {
                let compared = self.compare().await;
                self.log(compared.err());
                // Either a poke or the end of the pause continues.
                drop(tokio::time::timeout(EVERY, poke.notified()).await);
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Compares once. An error concerns a part: everything else is compared nevertheless.
    pub async fn compare(&mut self) -> Result<(), Error> {
        let all = PageQuery { limit: usize::MAX, cursor: None };
        let instances = self.store.instances(None, None, &all).await?.items;
        let known: HashSet<&InstanceId> = instances.iter().map(|instance| &instance.id).collect();
        self.watched.retain(|id, _| known.contains(id));
        let busy = self.busy().await?;
        let mut idle = Vec::new();
        for instance in instances.iter().filter(|instance| !busy.contains(&instance.id)) {
            idle.push((instance, self.watched.remove(&instance.id).unwrap_or_default()));
        }
        // All are observed side by side: one that does not answer delays no other.
        let watching = FuturesUnordered::new();
        for (instance, watched) in idle {
            watching.push(self.watch(instance, watched));
        }
        let (watched, revoked) = tokio::join!(
            watching.collect::<Vec<_>>(),
            revoke::revoke_due(&*self.store, &*self.operations, &instances, self.clock.now())
        );
        let mut outcome = revoked;
        for (id, watched, acted) in watched {
            self.watched.insert(id, watched);
            outcome = outcome.and(acted);
        }
        outcome
    }

    /// The instances with an operation that has not ended.
    async fn busy(&self) -> Result<HashSet<InstanceId>, Error> {
        let unfinished = self.store.unfinished_operations().await?;
        Ok(unfinished.into_iter().map(|operation| operation.instance).collect())
    }

    /// Observes an instance, and does what follows.
    async fn watch(
        &self,
        instance: &Instance,
        mut watched: Watched,
    ) -> (InstanceId, Watched, Result<(), Error>) {
        let Watched { history, probe } = &mut watched;
        let target = match self.targets.get(instance.target) {
            Ok(target) => target,
            Err(error) => return (instance.id.clone(), watched, Err(error)),
        };
        let observed = probe.observe(instance, &**target, &*self.operations).await;
        history.note(instance, &observed, self.clock.now());
        let acted = self.act(instance, &observed, history).await;
        (instance.id.clone(), watched, acted)
    }

    /// Acts until there is nothing more to do now.
    async fn act(
        &self,
        instance: &Instance,
        observed: &Observation,
        history: &mut History,
    ) -> Result<(), Error> {
        /// An instance is marked once, and then recovered.
        const ACTIONS: usize = 2;
        let mut instance = instance.clone();
        for _ in 0..ACTIONS {
            let now = self.clock.now();
            match decide(&instance, observed, history, now) {
                Action::Nothing => return Ok(()),
                // An operation that began or ended meanwhile knows better than this observation.
                _ if !self.is_current(&instance).await? => return Ok(()),
                Action::Mark(state, reason) => {
                    let message = reason.as_ref().map(|reason| &*reason.message);
                    if matches!(state, State::Crashed | State::Degraded) {
                        tracing::warn!(instance = %instance.id, %state, reason = message, "an instance does not work");
                    }
                    let change = InstanceChange { state: Some((state, reason)), ..InstanceChange::default() };
                    self.store.change_instance(&instance.id, &change, now).await?;
                    instance = self.store.instance(&instance.id).await?;
                }
                Action::Begin(kind) => {
                    history.attempted(now);
                    tracing::info!(instance = %instance.id, %kind, "beginning an operation of an instance");
                    return match self.operations.begin(&instance.id, kind).await {
                        // Another caller was first.
                        Ok(()) | Err(Error::Busy(_) | Error::NotFound(_)) => Ok(()),
                        Err(error) => Err(error),
                    };
                }
            }
        }
        Ok(())
    }

    /// Whether the instance is still what it was, without an operation.
    async fn is_current(&self, instance: &Instance) -> Result<bool, Error> {
        let now = self.store.instance(&instance.id).await?;
        let is_same =
            (now.wanted, now.state, now.changed_at) == (instance.wanted, instance.state, instance.changed_at);
        Ok(is_same && !self.busy().await?.contains(&instance.id))
    }

    fn log(&mut self, error: Option<Error>) {
        match error {
            Some(error) if !self.is_failing => {
                let error = with_causes(&error);
                tracing::error!(error, "cannot compare what is wanted with what is there; will retry");
            }
            None if self.is_failing => tracing::info!("comparing what is wanted with what is there again"),
            _ => return,
        }
        self.is_failing = !self.is_failing;
    }
}
