//! The console is killed at every event of an operation. The next one goes on, and ends as if nothing had happened.

use memcloud_control::{Data, Instance, NewInstance, Operation, OperationKind, OperationState, State};
use serde_json::json;

use crate::console::{Console, Machine, new};

/// Runs an operation in a console that is killed after each of its first, second, … event, until one run ends before. The
/// same instance is used for all runs.
fn kill_at_every_event(
    machine: &Machine,
    begin: impl Fn(&Console) -> (Instance, Operation),
    check: impl Fn(&Console, &Instance),
) {
    for kill_after in 1.. {
        let console = Console::start(machine);
        let (instance, operation) = begin(&console);
        let reached = console.block_on(async {
            let mut after = 0;
            while let Some(events) = console.control.next_events(&operation.id, after).await.unwrap() {
                after = events.last().unwrap().number;
                if after >= kill_after {
                    return true;
                }
            }
            false
        });
        console.crash();
        let next = Console::start(machine);
        next.block_on(next.control.resume()).unwrap();
        let ended = next.ended(&operation);
        assert_eq!(ended.state, OperationState::Succeeded, "killed after event {kill_after}: {ended:?}");
        check(&next, &instance);
        if !reached {
            break;
        }
    }
}

/// Kills the console all along the creation of an instance.
pub(crate) fn kill_creations(new: impl Fn(&str) -> NewInstance) {
    let machine = Machine::new();
    let names = std::cell::Cell::new(0);
    kill_at_every_event(
        &machine,
        |console| {
            names.set(names.get() + 1);
            console.begin_create(new(&format!("instance-{}", names.get())))
        },
        |console, instance| {
            console.is(instance, State::Running);
            assert_eq!(machine.processes(), [machine.pid(instance)]);
            console.delete(instance, Data::Delete);
            assert_eq!(machine.processes(), [0_u32; 0]);
            assert_eq!(console.leftovers(), []);
            assert_eq!(std::fs::read_dir(machine.path().join("instances")).unwrap().count(), 0);
        },
    );
}

/// Kills the console all along an upgrade.
pub(crate) fn kill_upgrades(new: impl Fn(&str) -> NewInstance) {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let one = console.create(new("one"));
    console.store(&one, "I moved to Lisbon in May");
    drop(console);
    kill_at_every_event(
        &machine,
        |console| (one.clone(), console.begin(&one, OperationKind::Upgrade, &json!({}))),
        |console, instance| {
            console.is(instance, State::Running);
            assert_eq!(machine.processes(), [machine.pid(instance)]);
            assert_eq!(console.search(instance, "Lisbon"), ["I moved to Lisbon in May"]);
        },
    );
}

/// Kills the console all along the removal of an instance with its data.
pub(crate) fn kill_removals(new: impl Fn(&str) -> NewInstance) {
    let machine = Machine::new();
    let names = std::cell::Cell::new(0);
    kill_at_every_event(
        &machine,
        |console| {
            names.set(names.get() + 1);
            let instance = console.create(new(&format!("instance-{}", names.get())));
            let operation = console.begin_delete(&instance, Data::Delete);
            (instance, operation)
        },
        |console, instance| {
            console.is(instance, State::Removed);
            assert_eq!(machine.processes(), [0_u32; 0]);
            assert_eq!(console.leftovers(), []);
            assert_eq!(std::fs::read_dir(machine.path().join("instances")).unwrap().count(), 0);
        },
    );
}

#[test]
fn a_creation_that_is_interrupted_anywhere_makes_one_instance() {
    kill_creations(new);
}

#[test]
fn an_upgrade_that_is_interrupted_anywhere_is_done_once() {
    kill_upgrades(new);
}

#[test]
fn a_removal_that_is_interrupted_anywhere_leaves_nothing() {
    kill_removals(new);
}
