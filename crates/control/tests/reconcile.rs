//! What the reconciler decides, as a table and for any sequence of observations.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

use memcloud_control::instances::TargetKind;
use memcloud_control::operations::OnFailure;
use memcloud_control::reconcile::{Action, History, Observation, Readiness, decide};
use memcloud_control::targets::Observed;
use memcloud_control::{
    Instance, InstanceId, OperationKind, OrganizationId, Reason, State, Topology, Wanted,
};
use memcloud_domain::Timestamp;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000;
const START: i64 = 1_790_000_000 * SECOND;
const STATES: [State; 11] = [
    State::Queued,
    State::Preparing,
    State::Deploying,
    State::Checking,
    State::Running,
    State::Degraded,
    State::Crashed,
    State::Stopped,
    State::Removing,
    State::Removed,
    State::Failed,
];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(START + seconds * SECOND).unwrap()
}

fn instance(wanted: Wanted, state: State) -> Instance {
    Instance {
        id: InstanceId::random(),
        organization: OrganizationId::random(),
        name: "memory".parse().unwrap(),
        target: TargetKind::Local,
        topology: Topology::Embedded,
        wanted,
        state,
        reason: None,
        url: None,
        version: None,
        has_llm: false,
        placement: serde_json::Value::Null,
        created_at: at(0),
        changed_at: at(0),
    }
}

fn seen(process: Observed, readiness: Readiness) -> Observation {
    Observation { process, readiness }
}

fn not_ready() -> Readiness {
    Readiness::NotReady(Reason::new("the database is down", "start it"))
}

/// What is decided about an instance that nothing was tried for.
fn decided(wanted: Wanted, state: State, process: Observed, readiness: Readiness) -> Action {
    let (instance, observed) = (instance(wanted, state), seen(process, readiness));
    let mut history = History::default();
    history.note(&instance, &observed, at(1));
    decide(&instance, &observed, &history, at(1))
}

#[test]
fn each_gap_has_its_action() {
    use Observed::{Alive, Gone};
    use Readiness::{Ready, Unknown};
    for state in STATES {
        let is_left_alone = matches!(state, State::Failed | State::Removed);
        let unless =
            |same: bool, action: Action| if is_left_alone || same { Action::Nothing } else { action };
        let recover = Action::Begin(OperationKind::Recover);

        let gone = decided(Wanted::Running, state, Gone, Unknown);
        match &gone {
            Action::Mark(State::Crashed, Some(reason)) => assert!(!reason.hint.is_empty()),
            other => assert_eq!(*other, unless(false, recover.clone()), "{state}"),
        }
        assert_eq!(gone == recover, state == State::Crashed, "first it is marked: {state}");

        assert_eq!(decided(Wanted::Running, state, Alive, Ready), unless(state == State::Running, recover));
        assert_eq!(decided(Wanted::Running, state, Alive, Unknown), Action::Nothing);
        let Readiness::NotReady(reason) = not_ready() else { unreachable!() };
        let degraded = Action::Mark(State::Degraded, Some(reason));
        assert_eq!(decided(Wanted::Running, state, Alive, not_ready()), unless(false, degraded));

        for readiness in [Ready, Unknown, not_ready()] {
            let stop = unless(false, Action::Begin(OperationKind::Stop));
            assert_eq!(decided(Wanted::Stopped, state, Alive, readiness.clone()), stop);
            let delete = unless(false, Action::Begin(OperationKind::Delete));
            assert_eq!(decided(Wanted::Removed, state, Alive, readiness), delete);
        }
        let stopped = unless(state == State::Stopped, Action::Mark(State::Stopped, None));
        assert_eq!(decided(Wanted::Stopped, state, Gone, Unknown), stopped);
        assert_eq!(decided(Wanted::Removed, state, Gone, Unknown), Action::Nothing);
    }
}

#[test]
fn the_same_reason_is_marked_once_and_another_one_again() {
    let degraded = |reason: Option<Reason>| {
        let instance = Instance { reason, ..instance(Wanted::Running, State::Degraded) };
        decide(&instance, &seen(Observed::Alive, not_ready()), &History::default(), at(1))
    };
    let Readiness::NotReady(reason) = not_ready() else { unreachable!() };
    assert_eq!(degraded(Some(reason.clone())), Action::Nothing);
    assert_eq!(degraded(None), Action::Mark(State::Degraded, Some(reason)));
}

/// Runs a reconciler for this many seconds over an instance for which every attempt has the same outcome. Returns when it
/// tried.
fn attempts(seconds: i64, observed: &Observation, mut instance: Instance) -> Vec<i64> {
    let (mut history, mut tried) = (History::default(), Vec::new());
    for second in 0..seconds {
        history.note(&instance, observed, at(second));
        for _ in 0..2 {
            match decide(&instance, observed, &history, at(second)) {
                Action::Nothing => break,
                Action::Mark(state, reason) => (instance.state, instance.reason) = (state, reason),
                Action::Begin(_) => {
                    history.attempted(at(second));
                    tried.push(second);
                    let reason = Some(Reason::new("it does not pass", "read the log"));
                    (instance.state, instance.reason) = (State::Degraded, reason);
                    break;
                }
            }
        }
    }
    tried
}

#[test]
fn attempts_for_a_process_that_stays_away_grow_to_one_a_minute() {
    let gone = seen(Observed::Gone, Readiness::Unknown);
    let tried = attempts(300, &gone, instance(Wanted::Running, State::Running));
    assert_eq!(tried, [0, 1, 3, 7, 15, 75, 135, 195, 255]);
}

#[test]
fn an_instance_that_is_ready_and_fails_its_verification_is_not_restarted_each_minute() {
    let ready = seen(Observed::Alive, Readiness::Ready);
    let tried = attempts(3_000, &ready, instance(Wanted::Running, State::Degraded));
    assert_eq!(tried, [0, 1, 3, 7, 15, 615, 1_215, 1_815, 2_415]);
}

#[test]
fn an_instance_that_becomes_ready_is_recovered_at_once_whatever_was_tried() {
    let instance = instance(Wanted::Running, State::Degraded);
    let mut history = History::default();
    (0..10).for_each(|second| history.attempted(at(second)));
    let ready = seen(Observed::Alive, Readiness::Ready);
    history.note(&instance, &ready, at(12));
    assert_eq!(decide(&instance, &ready, &history, at(12)), Action::Nothing, "it was ready all the time");
    history.note(&instance, &seen(Observed::Alive, not_ready()), at(13));
    history.note(&instance, &ready, at(14));
    assert_eq!(decide(&instance, &ready, &history, at(14)), Action::Begin(OperationKind::Recover));
}

#[test]
fn a_minute_of_running_forgets_the_attempts() {
    let (running, ready) =
        (instance(Wanted::Running, State::Running), seen(Observed::Alive, Readiness::Ready));
    let mut history = History::default();
    (0..5).for_each(|second| history.attempted(at(second)));
    history.note(&running, &ready, at(63));
    assert_eq!(history.attempts(), 5);
    history.note(&running, &ready, at(64));
    assert_eq!(history, History::default());
}

fn readiness() -> impl Strategy<Value = Readiness> {
    prop_oneof![Just(Readiness::Ready), Just(Readiness::Unknown), Just(not_ready())]
}

proptest! {
    #[test]
    fn a_mark_changes_something_and_is_not_followed_by_another(
        wanted in prop::sample::select(vec![Wanted::Running, Wanted::Stopped, Wanted::Removed]),
        state in prop::sample::select(STATES.to_vec()),
        steps in prop::collection::vec((any::<bool>(), readiness(), 0..90_i64, any::<bool>()), 1..60),
    ) {
        let mut instance = instance(wanted, state);
        let (mut history, mut now) = (History::default(), 0);
        for (is_alive, readiness, pause, succeeds) in steps {
            now += pause;
            let process = if is_alive { Observed::Alive } else { Observed::Gone };
            let observed = seen(process, if is_alive { readiness } else { Readiness::Unknown });
            history.note(&instance, &observed, at(now));
            let mut action = decide(&instance, &observed, &history, at(now));
            if let Action::Mark(state, reason) = action {
                prop_assert!((state, &reason) != (instance.state, &instance.reason));
                prop_assert_eq!(reason.is_none(), state == State::Stopped);
                (instance.state, instance.reason) = (state, reason);
                action = decide(&instance, &observed, &history, at(now));
                prop_assert!(!matches!(action, Action::Mark(..)), "{:?}", action);
            }
            if let Action::Begin(kind) = action {
                let of_wanted = match wanted {
                    Wanted::Running => OperationKind::Recover,
                    Wanted::Stopped => OperationKind::Stop,
                    Wanted::Removed => OperationKind::Delete,
                };
                prop_assert_eq!(kind, of_wanted);
                prop_assert!(!matches!(instance.state, State::Failed | State::Removed));
                history.attempted(at(now));
                instance.state = if succeeds { kind.state_after() } else { kind.state_after_failure(OnFailure::Keep) };
                instance.reason = (!succeeds).then(|| Reason::new("it failed", "retry"));
            }
        }
    }
}
