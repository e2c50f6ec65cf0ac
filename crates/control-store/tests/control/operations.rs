use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memcloud_control::instances::Settings;
use memcloud_control::operations::{Event, EventKind, StepState};
use memcloud_control::{
    Caller, Control, ControlStore, Error, Instance, NewInstance, Operation, OperationKind, OperationState,
    OperationStore, OrganizationId, Reason, Seal, Secrets, State,
};
use memcloud_control_store::SqliteControlStore;
use memcloud_tasks::Tasks;
use serde_json::json;
use tokio::sync::Barrier;

use crate::scripted::{Fault, Scripted, TARGET, TickingClock, World};

/// How long a condition is awaited.
const PATIENCE: Duration = Duration::from_mins(1);
const SEALING_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A console's process: dropping it is a kill.
struct Process {
    control: Control,
    store: Arc<SqliteControlStore>,
    _tasks: Arc<Tasks>,
}

fn start(dir: &Path, world: &Arc<World>) -> Process {
    let store = Arc::new(SqliteControlStore::open(&dir.join("console.db")).unwrap());
    let port: Arc<dyn ControlStore> = store.clone();
    let tasks = Arc::new(Tasks::new());
    let secrets = Secrets::new(Arc::clone(&port), Seal::from_text(SEALING_KEY).unwrap());
    let clock = Arc::new(TickingClock::default());
    let control = Control::new(port, secrets, Scripted::targets(world), clock, Arc::clone(&tasks));
    Process { control, store, _tasks: tasks }
}

fn caller() -> Caller {
    Caller::system("team".parse::<OrganizationId>().unwrap())
}

fn new(name: &str) -> NewInstance {
    NewInstance {
        name: name.parse().unwrap(),
        target: TARGET,
        topology: None,
        settings: Settings::default(),
        placement: json!({}),
    }
}

impl Process {
    async fn create(&self, name: &str) -> Operation {
        self.control.create(&caller(), new(name)).await.unwrap().1
    }

    /// The operation when it has ended.
    async fn ended(&self, operation: &Operation) -> Operation {
        let mut after = 0;
        let waiting = async {
            while let Some(events) = self.control.next_events(&operation.id, after).await.unwrap() {
                after = events.last().unwrap().number;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the operation ends");
        self.store.operation(&operation.id).await.unwrap()
    }

    async fn instance(&self, operation: &Operation) -> Instance {
        memcloud_control::InstanceStore::instance(self.store.as_ref(), &operation.instance).await.unwrap()
    }
}

fn states(operation: &Operation) -> Vec<StepState> {
    operation.steps.iter().map(|step| step.state).collect()
}

fn things(world: &World) -> Vec<String> {
    world.things.lock().unwrap().iter().cloned().collect()
}

#[tokio::test]
async fn steps_run_in_their_order_and_side_by_side() {
    // Without each other, b and c would wait until the test gives up.
    let world = World { meeting: Some(Barrier::new(2)), ..World::default() };
    let (dir, world) = (tempfile::tempdir().unwrap(), Arc::new(world));
    let process = start(dir.path(), &world);
    let operation = process.create("one").await;
    let ended = process.ended(&operation).await;
    assert_eq!(ended.state, OperationState::Succeeded);
    assert_eq!(states(&ended), [StepState::Done; 4]);
    assert_eq!(things(&world), ["a", "b", "c", "d"]);
    let acts = world.acts.lock().unwrap().clone();
    assert_eq!((&acts[0], &acts[3]), (&"a".to_owned(), &"d".to_owned()), "{acts:?}");
    assert_eq!(ended.steps[3].outputs, Some(json!({"made": "d", "after": ["a", "b", "c"]})));
    let instance = process.instance(&operation).await;
    assert_eq!((instance.state, instance.reason), (State::Running, None));
}

#[tokio::test]
async fn events_can_be_read_again_from_any_number() {
    let (dir, world) = (tempfile::tempdir().unwrap(), Arc::new(World::default()));
    let process = start(dir.path(), &world);
    let operation = process.create("one").await;
    process.ended(&operation).await;
    let all = process.store.events(&operation.id, 0, 1000).await.unwrap();
    let numbers: Vec<u64> = all.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
    let line =
        |event: &Event| format!("{} {} {}", event.step.as_deref().unwrap_or("-"), event.state, event.message);
    let lines: Vec<String> = all.iter().map(line).collect();
    assert_eq!(&lines[..4], ["- running started", "a running make a", "a running made a", "a done make a"]);
    assert_eq!(lines.last().unwrap(), "- succeeded done");
    assert!(all.iter().any(|event| event.kind == EventKind::Message));
    for after in 0..all.len() {
        let rest = process.control.next_events(&operation.id, after as u64).await.unwrap();
        assert_eq!(rest.as_deref(), Some(&all[after..]));
    }
    assert_eq!(process.control.next_events(&operation.id, all.len() as u64).await.unwrap(), None);
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing_and_says_why() {
    let (dir, world) = (tempfile::tempdir().unwrap(), Arc::new(World::default()));
    world.faults.lock().unwrap().insert("c".into(), Fault::Fails);
    let process = start(dir.path(), &world);
    let operation = process.create("one").await;
    let ended = process.ended(&operation).await;
    assert_eq!(ended.state, OperationState::Failed);
    assert_eq!(ended.reason.as_ref().unwrap().message, "c does not work");
    assert_eq!(things(&world), Vec::<String>::new());
    assert_eq!(ended.steps[3].state, StepState::Pending, "d was never begun");
    let instance = process.instance(&operation).await;
    assert_eq!((instance.state, instance.reason), (State::Failed, ended.reason));
    // The name is free again.
    world.faults.lock().unwrap().clear();
    let second = process.create("one").await;
    assert_eq!(process.ended(&second).await.state, OperationState::Succeeded);
    let refused = process.control.retry(&caller(), &operation.id).await;
    assert!(matches!(refused, Err(Error::NotFound("instance"))), "the failed one is gone: {refused:?}");
}

#[tokio::test]
async fn the_failure_of_a_step_counts_and_not_the_interruption_of_another_one() {
    let (dir, world) = (tempfile::tempdir().unwrap(), Arc::new(World::default()));
    world.faults.lock().unwrap().extend([("b".into(), Fault::Waits), ("c".into(), Fault::Fails)]);
    let process = start(dir.path(), &world);
    let operation = process.create("one").await;
    let ended = process.ended(&operation).await;
    assert_eq!(ended.steps[1].reason.as_ref().unwrap().message, "stopped", "b comes first in the plan");
    assert_eq!(ended.reason.as_ref().unwrap().message, "c does not work");
    assert_eq!(process.instance(&operation).await.reason, ended.reason);
    let events = process.store.events(&operation.id, 0, 1000).await.unwrap();
    let said = events.iter().filter(|event| event.kind == EventKind::Operation);
    let said: Vec<_> = said.map(|event| (event.state.as_str(), event.message.as_str())).collect();
    let failed = |state| (state, "c does not work");
    assert_eq!(said, [("running", "started"), failed("undoing"), failed("failed")]);
}

#[tokio::test]
async fn a_retry_goes_on_with_the_step_that_failed() {
    let (dir, world) = (tempfile::tempdir().unwrap(), Arc::new(World::default()));
    let process = start(dir.path(), &world);
    let made = process.create("one").await;
    process.ended(&made).await;
    world.acts.lock().unwrap().clear();
    world.faults.lock().unwrap().insert("d".into(), Fault::FailsTimes(1));
    let restart =
        process.control.begin(&caller(), &made.instance, OperationKind::Restart, &json!({})).await.unwrap();
    let failed = process.ended(&restart).await;
    assert_eq!(failed.state, OperationState::Failed);
    assert_eq!(states(&failed), [StepState::Done, StepState::Done, StepState::Done, StepState::Failed]);
    world.acts.lock().unwrap().clear();
    process.control.retry(&caller(), &restart.id).await.unwrap();
    let ended = process.ended(&restart).await;
    assert_eq!((ended.state, ended.reason), (OperationState::Succeeded, None));
    assert_eq!(*world.acts.lock().unwrap(), ["d"], "what was done is not done again");
    let again = process.control.retry(&caller(), &restart.id).await;
    assert!(matches!(again, Err(Error::WrongState { .. })), "{again:?}");
}

#[tokio::test]
async fn a_cancelled_creation_is_undone() {
    let (dir, world) = (tempfile::tempdir().unwrap(), Arc::new(World::default()));
    world.faults.lock().unwrap().insert("b".into(), Fault::Waits);
    let process = start(dir.path(), &world);
    let operation = process.create("one").await;
    tokio::time::timeout(PATIENCE, world.reached.notified()).await.unwrap();
    let busy = process.control.begin(&caller(), &operation.instance, OperationKind::Stop, &json!({})).await;
    assert!(matches!(busy, Err(Error::Busy(id)) if id == operation.id));
    process.control.cancel(&caller(), &operation.id).await.unwrap();
    let ended = process.ended(&operation).await;
    assert_eq!(ended.state, OperationState::Cancelled);
    assert_eq!(things(&world), Vec::<String>::new());
    let again = process.control.cancel(&caller(), &operation.id).await;
    assert!(matches!(again, Err(Error::WrongState { .. })), "{again:?}");
}

#[tokio::test]
async fn what_cannot_be_undone_is_said() {
    let (dir, world) = (tempfile::tempdir().unwrap(), Arc::new(World::default()));
    world.faults.lock().unwrap().extend([("a".into(), Fault::Stuck), ("d".into(), Fault::Fails)]);
    let process = start(dir.path(), &world);
    let operation = process.create("one").await;
    let ended = process.ended(&operation).await;
    assert_eq!(ended.reason.as_ref().unwrap().message, "d does not work");
    assert_eq!(ended.steps[0].state, StepState::Stuck);
    assert_eq!(ended.steps[0].reason.as_ref().unwrap().hint, "remove it");
    assert_eq!(things(&world), ["a"]);
    let events = process.store.events(&operation.id, 0, 1000).await.unwrap();
    assert!(events.iter().any(|event| event.message == "could not be undone: a stays"), "{events:?}");
}

/// What an operation leaves: its state and its reason, the instance's state, and the things that are there.
type Outcome = (OperationState, Option<Reason>, State, Vec<String>);

/// Runs a creation with this fault. The process is killed at point `crash_at`, if there is such a point, and another one
/// goes on. Returns what is left, and whether there was such a point.
async fn run_with_crash(fault: Option<(&str, Fault)>, crash_at: usize) -> (Outcome, bool) {
    let (dir, world) = (tempfile::tempdir().unwrap(), Arc::new(World::default()));
    if let Some((step, fault)) = fault {
        world.faults.lock().unwrap().insert(step.into(), fault);
    }
    world.crash_at.store(crash_at, Ordering::SeqCst);
    let mut process = start(dir.path(), &world);
    let operation = process.create("one").await;
    let crashed = tokio::select! {
        () = world.reached.notified() => true,
        _ = process.ended(&operation) => false,
    };
    if crashed {
        drop(process);
        process = start(dir.path(), &world);
        process.control.resume().await.unwrap();
    }
    let ended = process.ended(&operation).await;
    let instance = process.instance(&operation).await;
    ((ended.state, ended.reason, instance.state, things(&world)), crashed)
}

#[tokio::test]
async fn an_operation_ends_the_same_wherever_its_process_is_killed() {
    for fault in [None, Some(("b", Fault::Fails)), Some(("d", Fault::Fails))] {
        let (undisturbed, crashed) = run_with_crash(fault, 0).await;
        assert!(!crashed);
        let mut points = 0;
        loop {
            let (outcome, crashed) = run_with_crash(fault, points + 1).await;
            if !crashed {
                break;
            }
            points += 1;
            assert_eq!(outcome, undisturbed, "{fault:?}, killed at point {points}");
        }
        assert!(points >= 8, "{fault:?}: only {points} points");
    }
}
