//! A target whose steps do what a test says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use memcloud_control::operations::{Job, OnFailure, PlannedStep, Step};
use memcloud_control::targets::{Draft, Leftover, LeftoverKind, LogPart, LogPosition, Observed, Target};
use memcloud_control::{Instance, OperationKind, Plan, Reason, State};
use serde_json::{Value, json};
use tokio::sync::watch;

/// What a step does.
#[derive(Clone)]
pub(crate) enum Act {
    Succeed,
    Fail,
    /// Waits until the sender says `true`, or until it is asked to stop.
    Wait(watch::Receiver<bool>),
}

#[derive(Default)]
pub(crate) struct Scripted {
    acts: Mutex<HashMap<String, Act>>,
    log: Mutex<String>,
    refusals: Mutex<Vec<Reason>>,
}

impl Scripted {
    /// From now on the step of this name does this.
    pub(crate) fn will(&self, step: &str, act: Act) {
        self.acts.lock().unwrap().insert(step.to_owned(), act);
    }

    /// From now on the step of this name waits. It goes on when the sender is sent `true`.
    pub(crate) fn will_wait(&self, step: &str) -> watch::Sender<bool> {
        let (sender, receiver) = watch::channel(false);
        self.will(step, Act::Wait(receiver));
        sender
    }

    /// From now on it refuses every plan, for these reasons.
    pub(crate) fn refuse(&self, reasons: &[(&str, &str)]) {
        let reasons = reasons.iter().map(|(message, hint)| Reason::new(*message, *hint));
        *self.refusals.lock().unwrap() = reasons.collect();
    }

    pub(crate) fn write_log(&self, text: &str) {
        self.log.lock().unwrap().push_str(text);
    }
}

#[async_trait]
impl Target for Scripted {
    async fn plan(&self, kind: OperationKind, _instance: &Instance, _request: &Value) -> Draft {
        let steps = [
            PlannedStep::new("prepare", "prepare what is needed", State::Preparing),
            PlannedStep::new("act", &format!("{kind} the instance"), State::Deploying),
        ];
        let refusals = self.refusals.lock().unwrap().clone();
        Draft { refusals, ..Plan::in_order(OnFailure::Undo, steps).into() }
    }

    fn step(&self, name: &str) -> Option<Arc<dyn Step>> {
        let act = self.acts.lock().unwrap().get(name).cloned().unwrap_or(Act::Succeed);
        Some(Arc::new(Scripting(act)))
    }

    async fn observe(&self, _instance: &Instance) -> Observed {
        Observed::Alive
    }

    async fn leftovers(&self, _instances: &[Instance]) -> Vec<Leftover> {
        vec![Leftover {
            kind: LeftoverKind::Folder,
            organization: None,
            place: "/data/instances/0123456789ab".into(),
            reason: "it belongs to no instance".into(),
            hint: "remove it, or keep it".into(),
        }]
    }

    async fn log(&self, _instance: &Instance, from: LogPosition) -> Result<LogPart, Reason> {
        let log = self.log.lock().unwrap();
        let start = match from {
            LogPosition::Byte(byte) => byte as usize,
            LogPosition::Last(bytes) => log.len().saturating_sub(bytes as usize),
        };
        Ok(LogPart { text: log.get(start..).unwrap_or_default().to_owned(), next: log.len() as u64 })
    }
}

struct Scripting(Act);

#[async_trait]
impl Step for Scripting {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        match self.0.clone() {
            Act::Succeed => Ok(json!({"did": true})),
            Act::Fail => Err(Reason::new("the disk is full", "free space on it")),
            Act::Wait(mut go) => {
                job.say("waiting");
                tokio::select! {
                    _ = go.wait_for(|go| *go) => Ok(Value::Null),
                    () = job.stop.cancelled() => Err(Reason::new("it was stopped", "retry it")),
                }
            }
        }
    }

    fn time_limit(&self) -> Duration {
        Duration::from_mins(10)
    }
}
