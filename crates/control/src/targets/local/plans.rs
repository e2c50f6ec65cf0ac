//! What is done for each operation, as data.

use serde_json::{Value, json};

use super::{Placement, steps};
use crate::instances::{Instance, State, Topology};
use crate::operations::{OnFailure, OperationKind, Plan, PlannedStep};

pub(super) fn plan(kind: OperationKind, instance: &Instance, request: &Value) -> Plan {
    match kind {
        OperationKind::Create => create(instance),
        OperationKind::Clone => clone(instance, request),
        OperationKind::Start | OperationKind::Recover => Plan::in_order(OnFailure::Keep, run()),
        OperationKind::Stop => Plan::in_order(OnFailure::Keep, [stop(State::Preparing)]),
        OperationKind::Restart => {
            Plan::in_order(OnFailure::Keep, std::iter::once(stop(State::Preparing)).chain(run()))
        }
        OperationKind::Upgrade => upgrade(request),
        OperationKind::Verify => Plan::in_order(OnFailure::Keep, [verify()]),
        OperationKind::Delete => delete(instance, request),
    }
}

/// An instance whose place is chosen already has its data: they become a memory as soon as it can run, so what fails is tried
/// again, and nothing is undone. Every other one is made completely or not at all.
fn create(instance: &Instance) -> Plan {
    if Placement::of(instance).is_ok_and(|placement| placement.is_complete()) {
        return Plan::in_order(OnFailure::Keep, std::iter::once(folder()).chain(run()));
    }
    let connects = instance.topology != Topology::Embedded || instance.has_llm;
    let mut steps = vec![reserve(instance)];
    if connects {
        let title = "try the connections";
        steps.push(PlannedStep::new(steps::CONNECTIONS, title, State::Preparing));
    }
    let made: Vec<&str> =
        if connects { vec![steps::RESERVE, steps::CONNECTIONS] } else { vec![steps::RESERVE] };
    steps.push(folder().after(&made));
    steps.extend(one_by_one(steps::FOLDER, run()));
    Plan { steps, on_failure: OnFailure::Undo }
}

fn clone(instance: &Instance, request: &Value) -> Plan {
    let copy = PlannedStep::new(steps::COPY, "copy the data", State::Preparing)
        .with(json!({"source": request["source"]}));
    let keys = PlannedStep::new(steps::KEYS, "revoke the keys of the original", State::Deploying);
    let [start, ready, verify] = run();
    Plan::in_order(OnFailure::Undo, [reserve(instance), folder(), copy, start, ready, keys, verify])
}

fn upgrade(request: &Value) -> Plan {
    let program = PlannedStep::new(steps::PROGRAM, "check the new program", State::Preparing)
        .with(json!({"program": request["program"]}));
    let snapshot = PlannedStep::new(steps::SNAPSHOT, "take a snapshot of the data", State::Preparing);
    let switch = PlannedStep::new(steps::SWITCH, "switch to the new program", State::Deploying);
    // The snapshot is taken while the instance is stopped: a rollback then loses nothing that was stored before the upgrade.
    let before = [program, stop(State::Preparing), snapshot, switch];
    Plan::in_order(OnFailure::Undo, before.into_iter().chain(run()))
}

fn delete(instance: &Instance, request: &Value) -> Plan {
    let forget = PlannedStep::new(steps::FORGET, "forget its secrets", State::Removing);
    if request["data"] != "delete" {
        return Plan::in_order(OnFailure::Keep, [stop(State::Removing), forget]);
    }
    let remove = PlannedStep::new(steps::REMOVE, "delete its files", State::Removing);
    let end = [stop(State::Removing), remove, forget];
    // One that was never made has nothing in its databases.
    let was_made =
        instance.state != State::Failed && Placement::of(instance).is_ok_and(|it| it.listen.is_some());
    if instance.topology == Topology::Embedded || !was_made {
        return Plan::in_order(OnFailure::Keep, end);
    }
    let empty = PlannedStep::new(steps::EMPTY, "delete its memories from its databases", State::Removing);
    let [start, ready, _] = run();
    let begin = [start, ready].map(|step| PlannedStep { phase: Some(State::Removing), ..step });
    Plan::in_order(OnFailure::Keep, begin.into_iter().chain([empty]).chain(end))
}

fn reserve(instance: &Instance) -> PlannedStep {
    let given = Placement::of(instance).ok().and_then(|placement| placement.listen);
    PlannedStep::new(steps::RESERVE, "reserve an address", State::Preparing).with(json!({"given": given}))
}

fn folder() -> PlannedStep {
    PlannedStep::new(steps::FOLDER, "make the folder", State::Preparing)
}

fn run() -> [PlannedStep; 3] {
    [
        PlannedStep::new(steps::START, "start the process", State::Deploying),
        PlannedStep::new(steps::READY, "wait until it is ready", State::Deploying),
        verify(),
    ]
}

fn verify() -> PlannedStep {
    PlannedStep::new(steps::VERIFY, "verify it", State::Checking)
}

fn stop(phase: State) -> PlannedStep {
    PlannedStep::new(steps::STOP, "stop the process", phase)
}

/// These steps one after the other, the first of them after this one.
fn one_by_one(first: &str, steps: impl IntoIterator<Item = PlannedStep>) -> Vec<PlannedStep> {
    let mut before = first.to_owned();
    let mut after = |step: PlannedStep| {
        let name = step.name.clone();
        step.after(&[&std::mem::replace(&mut before, name)])
    };
    steps.into_iter().map(&mut after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instances::{TargetKind, Wanted};
    use crate::{InstanceId, OrganizationId};
    use memcloud_domain::Timestamp;

    fn instance(topology: Topology) -> Instance {
        Instance {
            id: InstanceId::random(),
            organization: OrganizationId::random(),
            name: "one".parse().unwrap(),
            target: TargetKind::Local,
            topology,
            wanted: Wanted::Running,
            state: State::Running,
            reason: None,
            url: None,
            version: None,
            has_llm: false,
            placement: json!({"listen": "127.0.0.1:8081"}),
            created_at: Timestamp::from_micros(0).unwrap(),
            changed_at: Timestamp::from_micros(0).unwrap(),
        }
    }

    fn names(kind: OperationKind, topology: Topology, request: &Value) -> String {
        let plan = plan(kind, &instance(topology), request);
        let names: Vec<_> = plan.steps.iter().map(|step| step.name.as_str()).collect();
        names.join(" ")
    }

    #[test]
    fn every_operation_has_its_steps_in_order() {
        use OperationKind::{Clone, Create, Delete, Recover, Restart, Start, Stop, Upgrade, Verify};
        use Topology::{Embedded, Neo4j, Postgres};
        let none = Value::Null;
        for (kind, topology, request, steps) in [
            (Create, Embedded, &none, "reserve folder start ready verify"),
            (Create, Neo4j, &none, "reserve connections folder start ready verify"),
            (Clone, Embedded, &none, "reserve folder copy start ready keys verify"),
            (Start, Embedded, &none, "start ready verify"),
            (Recover, Embedded, &none, "start ready verify"),
            (Restart, Embedded, &none, "stop start ready verify"),
            (Stop, Embedded, &none, "stop"),
            (Verify, Embedded, &none, "verify"),
            (Upgrade, Embedded, &none, "program stop snapshot switch start ready verify"),
            (Delete, Postgres, &json!({"data": "keep"}), "stop forget"),
            (Delete, Embedded, &json!({"data": "delete"}), "stop remove forget"),
            (Delete, Postgres, &json!({"data": "delete"}), "start ready empty stop remove forget"),
        ] {
            assert_eq!(names(kind, topology, request), steps, "{kind} on {topology}");
        }
    }

    #[test]
    fn each_step_waits_only_for_steps_before_it() {
        let request = json!({"data": "delete"});
        for kind in
            [OperationKind::Create, OperationKind::Clone, OperationKind::Upgrade, OperationKind::Delete]
        {
            let steps = plan(kind, &instance(Topology::Neo4j), &request).steps;
            for (position, step) in steps.iter().enumerate() {
                let is_before = |name: &String| steps[..position].iter().any(|before| before.name == *name);
                assert!(step.after.iter().all(is_before), "{kind}: {step:?}");
                assert!(
                    position == 0 || step.name == steps::CONNECTIONS || !step.after.is_empty(),
                    "{step:?}"
                );
            }
        }
    }
}
