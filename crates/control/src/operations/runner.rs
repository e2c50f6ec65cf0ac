use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use memcloud_domain::Clock;
use memcloud_tasks::Tasks;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Event, EventKind, Job, OnFailure, Operation, OperationState, Step, StepRecord, StepState, interrupted,
};
use crate::instances::{Instance, Reason};
use crate::store::{ControlStore, InstanceChange};
use crate::targets::Targets;
use crate::{Error, InstanceId, OperationId};

/// How often a step is tried to be undone before the operation ends without it, and the pause before the second attempt,
/// which doubles.
const UNDO_ATTEMPTS: u32 = 3;
const UNDO_PAUSE: Duration = Duration::from_millis(500);
/// How long a step that was asked to stop may still take.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// The pause before an operation goes on whose journal could not be written.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// Runs operations, one at a time for each instance, and any number side by side.
#[derive(Clone)]
pub struct Runner {
    store: Arc<dyn ControlStore>,
    targets: Targets,
    clock: Arc<dyn Clock>,
    tasks: Arc<Tasks>,
    /// The operations that run here.
    running: Arc<Mutex<HashMap<OperationId, Live>>>,
}

/// An operation that runs.
struct Live {
    /// Cancelled when the operation is.
    cancel: CancellationToken,
    /// Rises with every event.
    news: watch::Sender<u64>,
    /// Whether it was started once more.
    again: bool,
}

impl Runner {
    /// A runner of the operations in this store.
    pub fn new(
        store: Arc<dyn ControlStore>,
        targets: Targets,
        clock: Arc<dyn Clock>,
        tasks: Arc<Tasks>,
    ) -> Self {
        Self { store, targets, clock, tasks, running: Arc::default() }
    }

    /// Goes on with every operation that had not ended when the process before this one did.
    pub async fn resume(&self) -> Result<(), Error> {
        for operation in self.store.unfinished_operations().await? {
            tracing::info!(operation = %operation.id, kind = %operation.kind, "resuming an operation");
            self.start(&operation.id);
        }
        Ok(())
    }

    /// Runs an operation that the store has. One that runs already is run once more when it has ended: it may have been
    /// queued again just then.
    pub fn start(&self, id: &OperationId) {
        let mut running = self.running();
        if let Some(live) = running.get_mut(id) {
            live.again = true;
            return;
        }
        let live = Live { cancel: CancellationToken::new(), news: watch::Sender::new(0), again: false };
        let mut cancel = live.cancel.clone();
        running.insert(id.clone(), live);
        let (runner, id) = (self.clone(), id.clone());
        self.tasks.spawn("operation", |stop| async move {
            // At a shutdown the operation is left as a crash would leave it: the next process goes on with it.
            while stop.run_until_cancelled(runner.run_to_end(&id, &cancel)).await.is_some() {
                let mut running = runner.running();
                let Some(live) = running.get_mut(&id).filter(|live| live.again) else {
                    running.remove(&id);
                    return;
                };
                (live.again, live.cancel) = (false, CancellationToken::new());
                cancel = live.cancel.clone();
            }
            runner.running().remove(&id);
        });
    }

    /// Asks a running operation to stop. The store knows already that it is cancelled.
    pub fn cancel(&self, id: &OperationId) {
        if let Some(live) = self.running().get(id) {
            live.cancel.cancel();
        }
    }

    /// Rises with every event of an operation, and closes when it has ended. `None` if it does not run.
    pub fn news(&self, id: &OperationId) -> Option<watch::Receiver<u64>> {
        self.running().get(id).map(|live| live.news.subscribe())
    }

    fn running(&self) -> MutexGuard<'_, HashMap<OperationId, Live>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_to_end(&self, id: &OperationId, cancel: &CancellationToken) {
        while let Err(error) = self.run(id, cancel).await {
            let error = memcloud_domain::with_causes(&error);
            tracing::error!(operation = %id, error, "cannot write the journal; will retry");
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    /// Reads the operation and goes on with it as its journal says. Fails only where the store does.
    async fn run(&self, id: &OperationId, cancel: &CancellationToken) -> Result<(), Error> {
        let operation = self.store.operation(id).await?;
        if operation.state.has_ended() {
            return Ok(());
        }
        if operation.cancel {
            cancel.cancel();
        }
        let mut run = Run { runner: self, operation, cancel };
        if run.operation.state == OperationState::Queued {
            let event = run.operation_event(OperationState::Running, "started");
            run.set_state(OperationState::Running, None, event, InstanceChange::default()).await?;
        }
        if run.operation.state == OperationState::Running {
            run.forward().await?;
        }
        run.end().await
    }
}

/// One operation while it runs.
struct Run<'a> {
    runner: &'a Runner,
    operation: Operation,
    cancel: &'a CancellationToken,
}

impl Run<'_> {
    /// Does the steps that are due, as many side by side as can be, until all are done, one fails or it is cancelled.
    async fn forward(&mut self) -> Result<(), Error> {
        let stop = self.cancel.child_token();
        let mut begun = vec![false; self.operation.steps.len()];
        let mut in_flight = FuturesUnordered::new();
        loop {
            let failed = self.operation.steps.iter().any(|step| step.state == StepState::Failed);
            if failed {
                stop.cancel();
            }
            if !stop.is_cancelled() {
                for position in self.ready() {
                    if !std::mem::replace(&mut begun[position], true) {
                        let (step, outputs) = (self.operation.steps[position].clone(), self.outputs());
                        let (id, instance) = (&self.operation.id, &self.operation.instance);
                        let attempt = self.runner.attempt(id, instance, step, outputs, &stop);
                        in_flight.push(async move { (position, attempt.await) });
                    }
                }
            }
            let Some((position, step)) = in_flight.next().await else { return Ok(()) };
            self.operation.steps[position] = step?;
        }
    }

    /// The steps that are due and whose predecessors are done.
    fn ready(&self) -> Vec<usize> {
        let steps = &self.operation.steps;
        let is_done = |name: &String| {
            steps.iter().any(|step| step.planned.name == *name && step.state == StepState::Done)
        };
        let ready = |step: &StepRecord| step.is_due() && step.planned.after.iter().all(is_done);
        steps.iter().enumerate().filter(|(_, step)| ready(step)).map(|(position, _)| position).collect()
    }

    fn outputs(&self) -> BTreeMap<String, Value> {
        let steps = self.operation.steps.iter();
        steps.filter_map(|step| Some((step.planned.name.clone(), step.outputs.clone()?))).collect()
    }

    /// Ends the operation, after undoing what has to be undone.
    async fn end(&mut self) -> Result<(), Error> {
        let kind = self.operation.kind;
        if self.operation.state == OperationState::Running
            && self.operation.steps.iter().all(|step| !step.is_due())
        {
            let event = self.operation_event(OperationState::Succeeded, "done");
            let change =
                InstanceChange { state: Some((kind.state_after(), None)), ..InstanceChange::default() };
            return self.set_state(OperationState::Succeeded, None, event, change).await;
        }
        let cancelled = self.cancel.is_cancelled();
        let reason = self.failure().filter(|_| !cancelled);
        let reason = reason
            .unwrap_or_else(|| Reason::new("the operation was cancelled", "retry it, or begin another one"));
        if self.operation.on_failure == OnFailure::Undo {
            if self.operation.state != OperationState::Undoing {
                let event = self.operation_event(OperationState::Undoing, &reason.message);
                self.set_state(OperationState::Undoing, Some(&reason), event, InstanceChange::default())
                    .await?;
            }
            self.back().await?;
        }
        let state = if cancelled { OperationState::Cancelled } else { OperationState::Failed };
        let event = self.operation_event(state, &reason.message);
        let change = InstanceChange {
            state: Some((kind.state_after_failure(self.operation.on_failure), Some(reason.clone()))),
            ..InstanceChange::default()
        };
        self.set_state(state, Some(&reason), event, change).await
    }

    /// Why it fails: the reason of the step that ended first, because of which those beside it were interrupted. Once it is
    /// undone only the journal knows, since a step that is undone ends once more.
    fn failure(&self) -> Option<Reason> {
        self.operation.reason.clone().or_else(|| {
            let failed = self.operation.steps.iter().filter(|step| step.reason.is_some());
            failed.min_by_key(|step| step.ended_at)?.reason.clone()
        })
    }

    /// Undoes every step that may have had an effect, last first.
    async fn back(&mut self) -> Result<(), Error> {
        for position in (0..self.operation.steps.len()).rev() {
            if self.operation.steps[position].may_have_effect() {
                let (step, outputs) = (self.operation.steps[position].clone(), self.outputs());
                let (id, instance) = (&self.operation.id, &self.operation.instance);
                let undone = self.runner.undo(id, instance, step, outputs).await?;
                self.operation.steps[position] = undone;
            }
        }
        Ok(())
    }

    fn operation_event(&self, state: OperationState, message: &str) -> Event {
        Event {
            number: 0,
            at: self.runner.clock.now(),
            kind: EventKind::Operation,
            step: None,
            state: state.to_string(),
            message: message.to_owned(),
        }
    }

    async fn set_state(
        &mut self,
        state: OperationState,
        reason: Option<&Reason>,
        event: Event,
        change: InstanceChange,
    ) -> Result<(), Error> {
        let id = &self.operation.id;
        self.runner.store.journal_operation(id, state, reason, &event, &change).await?;
        self.operation.state = state;
        self.runner.announce(id);
        Ok(())
    }
}

impl Runner {
    /// Runs one step, with its journal around it.
    async fn attempt(
        &self,
        operation: &OperationId,
        instance: &InstanceId,
        mut record: StepRecord,
        outputs: BTreeMap<String, Value>,
        stop: &CancellationToken,
    ) -> Result<StepRecord, Error> {
        (record.state, record.reason) = (StepState::Running, None);
        (record.started_at, record.ended_at) = (Some(self.clock.now()), None);
        let title = record.planned.title.clone();
        self.journal(operation, &record, &title).await?;
        // An instance is as it is when the step begins: those before it may have changed it.
        let instance = self.store.instance(instance).await?;
        let outcome = match self.targets.step(instance.target, &record.planned.name) {
            None => Err(unknown_step(&record.planned.name)),
            Some(step) => {
                let (job, said) = job(&instance, &record, outputs, stop.clone());
                let limit = step.time_limit();
                let stopped = async {
                    stop.cancelled().await;
                    tokio::time::sleep(STOP_GRACE).await;
                };
                let limited = async {
                    tokio::select! {
                        outcome = tokio::time::timeout(limit, step.run(&job)) => {
                            outcome.unwrap_or_else(|_| Err(too_slow(limit)))
                        }
                        () = stopped => Err(interrupted()),
                    }
                };
                self.listening(operation, &record, said, limited).await?
            }
        };
        record.ended_at = Some(self.clock.now());
        let message = match outcome {
            Ok(outputs) => {
                (record.state, record.outputs) = (StepState::Done, Some(outputs));
                title
            }
            Err(reason) => {
                record.state = StepState::Failed;
                let message = reason.message.clone();
                record.reason = Some(reason);
                message
            }
        };
        self.journal(operation, &record, &message).await?;
        Ok(record)
    }

    /// Undoes one step, with its journal around it.
    async fn undo(
        &self,
        operation: &OperationId,
        instance: &InstanceId,
        mut record: StepRecord,
        outputs: BTreeMap<String, Value>,
    ) -> Result<StepRecord, Error> {
        record.state = StepState::Undoing;
        let title = record.planned.title.clone();
        self.journal(operation, &record, &title).await?;
        let instance = self.store.instance(instance).await?;
        let outcome = match self.targets.step(instance.target, &record.planned.name) {
            None => Err(unknown_step(&record.planned.name)),
            Some(step) => {
                let (job, said) = job(&instance, &record, outputs, CancellationToken::new());
                self.listening(operation, &record, said, undo_with_retries(step.as_ref(), &job)).await?
            }
        };
        record.ended_at = Some(self.clock.now());
        let message = match outcome {
            Ok(()) => {
                (record.state, record.outputs) = (StepState::Undone, None);
                title
            }
            Err(reason) => {
                record.state = StepState::Stuck;
                let message = format!("could not be undone: {}", reason.message);
                // The reason why the operation failed is the more important one.
                record.reason.get_or_insert(reason);
                message
            }
        };
        self.journal(operation, &record, &message).await?;
        Ok(record)
    }

    /// Waits for work, and keeps what it says meanwhile as events.
    async fn listening<T>(
        &self,
        operation: &OperationId,
        record: &StepRecord,
        mut said: mpsc::UnboundedReceiver<String>,
        work: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let mut work = std::pin::pin!(work);
        let outcome = loop {
            tokio::select! {
                Some(message) = said.recv() => self.keep_message(operation, record, &message).await?,
                outcome = &mut work => break outcome,
            }
        };
        while let Ok(message) = said.try_recv() {
            self.keep_message(operation, record, &message).await?;
        }
        Ok(outcome)
    }

    async fn keep_message(
        &self,
        operation: &OperationId,
        record: &StepRecord,
        message: &str,
    ) -> Result<(), Error> {
        let event = self.step_event(EventKind::Message, record, message);
        self.store.journal_event(operation, &event).await?;
        self.announce(operation);
        Ok(())
    }

    async fn journal(
        &self,
        operation: &OperationId,
        record: &StepRecord,
        message: &str,
    ) -> Result<(), Error> {
        let event = self.step_event(EventKind::Step, record, message);
        let phase = record.planned.phase.filter(|_| record.state == StepState::Running);
        self.store.journal_step(operation, record, &event, phase).await?;
        self.announce(operation);
        Ok(())
    }

    fn step_event(&self, kind: EventKind, record: &StepRecord, message: &str) -> Event {
        Event {
            number: 0,
            at: self.clock.now(),
            kind,
            step: Some(record.planned.name.clone()),
            state: record.state.to_string(),
            message: message.to_owned(),
        }
    }

    fn announce(&self, operation: &OperationId) {
        if let Some(live) = self.running().get(operation) {
            live.news.send_modify(|events| *events += 1);
        }
    }
}

fn job(
    instance: &Instance,
    record: &StepRecord,
    outputs: BTreeMap<String, Value>,
    stop: CancellationToken,
) -> (Job, mpsc::UnboundedReceiver<String>) {
    let (send, said) = mpsc::unbounded_channel();
    let inputs = record.planned.inputs.clone();
    (Job { instance: instance.clone(), inputs, outputs, stop, said: send }, said)
}

async fn undo_with_retries(step: &dyn Step, job: &Job) -> Result<(), Reason> {
    let limit = step.time_limit();
    let mut pause = UNDO_PAUSE;
    for attempt in 1.. {
        let outcome =
            tokio::time::timeout(limit, step.undo(job)).await.unwrap_or_else(|_| Err(too_slow(limit)));
        match outcome {
            Err(reason) if attempt < UNDO_ATTEMPTS => {
                job.say(format!("will retry: {}", reason.message));
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
    Ok(())
}

fn unknown_step(name: &str) -> Reason {
    Reason::new(
        format!("this version of the console does not know the step '{name}'"),
        "start the console with the version that began the operation, or delete the instance",
    )
}

fn too_slow(limit: Duration) -> Reason {
    Reason::new(
        format!("the step took more than {} seconds", limit.as_secs()),
        "retry the operation; 'memcloud instances logs' shows what the instance was doing",
    )
}
