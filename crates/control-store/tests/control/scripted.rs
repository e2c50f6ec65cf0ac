//! A target whose steps make things in a set, so that a test can see what is there, and that crashes on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use memcloud_control::instances::TargetKind;
use memcloud_control::operations::{Job, OnFailure, PlannedStep, Step};
use memcloud_control::targets::{Draft, Leftover, LogPart, LogPosition, Observed, Targets};
use memcloud_control::{Instance, OperationKind, Plan, Reason, State, Target};
use memcloud_domain::{Clock, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Barrier, Notify};

/// A clock that each look moves on by a microsecond.
#[derive(Default)]
pub(crate) struct TickingClock(AtomicUsize);

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed) as i64).unwrap()
    }
}

impl TickingClock {
    /// Turns the clock on by this many microseconds.
    pub(crate) fn turn(&self, micros: i64) {
        self.0.fetch_add(micros as usize, Ordering::Relaxed);
    }
}

/// What a step does beside making its thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It makes its thing, and then fails.
    Fails,
    /// It fails this often, and then succeeds.
    FailsTimes(usize),
    /// It makes its thing, and waits until it is stopped.
    Waits,
    /// It cannot be undone.
    Stuck,
}

/// The world in which the steps make things. It outlives the process that runs them.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) things: Mutex<BTreeSet<String>>,
    /// Every act: `name` or `undo name`.
    pub(crate) acts: Mutex<Vec<String>>,
    pub(crate) faults: Mutex<BTreeMap<String, Fault>>,
    /// At this point, counted from 1, the process hangs until it is killed; 0 for never.
    pub(crate) crash_at: AtomicUsize,
    pub(crate) points: AtomicUsize,
    pub(crate) reached: Notify,
    /// Where `b` and `c` wait for each other, if they should.
    pub(crate) meeting: Option<Barrier>,
}

impl World {
    /// A place where the process may be killed.
    async fn point(&self) {
        let crash_at = self.crash_at.load(Ordering::SeqCst);
        if self.points.fetch_add(1, Ordering::SeqCst) + 1 == crash_at {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// A target with the plans `a`, then `b` and `c` side by side, then `d`.
pub(crate) struct Scripted(pub(crate) Arc<World>);

impl Scripted {
    pub(crate) fn targets(world: &Arc<World>) -> Targets {
        Targets::new(Arc::new(Self(Arc::clone(world))))
    }
}

#[async_trait]
impl Target for Scripted {
    async fn plan(&self, kind: OperationKind, _instance: &Instance, _request: &Value) -> Draft {
        let step = |name: &str| PlannedStep::new(name, &format!("make {name}"), State::Preparing);
        let on_failure = if kind == OperationKind::Create { OnFailure::Undo } else { OnFailure::Keep };
        let steps = vec![
            step("a").with(json!({"kind": kind})),
            step("b").after(&["a"]),
            step("c").after(&["a"]),
            PlannedStep { phase: Some(State::Checking), ..step("d").after(&["b", "c"]) },
        ];
        Plan { steps, on_failure }.into()
    }

    fn step(&self, name: &str) -> Option<Arc<dyn Step>> {
        let known = ["a", "b", "c", "d"].contains(&name);
        known.then(|| Arc::new(Make { world: Arc::clone(&self.0), name: name.to_owned() }) as Arc<dyn Step>)
    }

    async fn observe(&self, _instance: &Instance) -> Observed {
        Observed::Alive
    }

    async fn leftovers(&self, _instances: &[Instance]) -> Vec<Leftover> {
        Vec::new()
    }

    async fn log(&self, _instance: &Instance, _from: LogPosition) -> Result<LogPart, Reason> {
        Ok(LogPart { text: String::new(), next: 0 })
    }
}

struct Make {
    world: Arc<World>,
    name: String,
}

#[async_trait]
impl Step for Make {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let world = &self.world;
        world.acts.lock().unwrap().push(self.name.clone());
        world.point().await;
        if let Some(meeting) = world.meeting.as_ref().filter(|_| ["b", "c"].contains(&&*self.name)) {
            meeting.wait().await;
        }
        world.things.lock().unwrap().insert(self.name.clone());
        job.say(format!("made {}", self.name));
        world.point().await;
        let fault = world.faults.lock().unwrap().get(&self.name).copied();
        let failed = Reason::new(format!("{} does not work", self.name), "fix it");
        match fault {
            Some(Fault::Fails) => Err(failed),
            Some(Fault::FailsTimes(left)) if left > 0 => {
                world.faults.lock().unwrap().insert(self.name.clone(), Fault::FailsTimes(left - 1));
                Err(failed)
            }
            Some(Fault::Waits) => {
                world.reached.notify_one();
                job.stop.cancelled().await;
                Err(Reason::new("stopped", "go on"))
            }
            _ => Ok(json!({"made": self.name, "after": job.outputs.keys().collect::<Vec<_>>()})),
        }
    }

    async fn undo(&self, _job: &Job) -> Result<(), Reason> {
        self.world.acts.lock().unwrap().push(format!("undo {}", self.name));
        self.world.point().await;
        if self.world.faults.lock().unwrap().get(&self.name) == Some(&Fault::Stuck) {
            return Err(Reason::new(format!("{} stays", self.name), "remove it"));
        }
        self.world.things.lock().unwrap().remove(&self.name);
        self.world.point().await;
        Ok(())
    }
}

/// The kind of target of all instances here.
pub(crate) const TARGET: TargetKind = TargetKind::Local;
