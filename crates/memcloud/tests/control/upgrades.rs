//! Upgrades: to another program, and back where it does not work.

use std::path::PathBuf;

use memcloud_control::{Instance, Operation, OperationKind, OperationState, State};
use serde_json::json;

use crate::console::{Checked, Console, Machine, new, program};

fn upgrade(console: &Console, instance: &Instance, program: &PathBuf) -> Operation {
    console.begin(instance, OperationKind::Upgrade, &json!({"program": program}))
}

#[test]
fn an_upgrade_switches_the_program_and_keeps_a_snapshot() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let instance = console.create(new("one"));
    console.store(&instance, "I moved to Lisbon in May");
    let before = console.placement(&instance).program.unwrap();
    let real = env!("CARGO_BIN_EXE_memcloud");
    let path = program(&machine, &format!("exec '{real}' \"$@\""));
    console.succeeded(&upgrade(&console, &instance, &path));
    console.is(&instance, State::Running);
    assert_ne!(console.placement(&instance).program.unwrap(), before);
    assert!(machine.folder(&instance).join("data/snapshot/memory.sqlite3").exists());
    assert_eq!(console.search(&instance, "Lisbon"), ["I moved to Lisbon in May"]);
    // Back to the program of the console.
    console.succeeded(&console.begin(&instance, OperationKind::Upgrade, &json!({})));
    assert_eq!(console.placement(&instance).program.unwrap(), before);
}

#[test]
fn a_program_that_does_not_work_is_rolled_back_with_its_data() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let instance = console.create(new("one"));
    console.store(&instance, "I moved to Lisbon in May");
    let before = console.placement(&instance).program;
    let spoil = "echo spoiled > \"$MEMCLOUD_DATA_DIR/memory.sqlite3\"";
    let path =
        program(&machine, &format!("{spoil}\necho 'error: it broke' >&2\necho 'hint: do not' >&2\nexit 1"));
    let operation = upgrade(&console, &instance, &path);
    let reason = console.failed(&operation);
    assert_eq!((reason.message.as_str(), reason.hint.as_str()), ("it broke", "do not"));
    assert!(console.is_alive(&instance));
    assert_eq!(console.placement(&instance).program, before);
    assert_eq!(console.search(&instance, "Lisbon"), ["I moved to Lisbon in May"]);
    let replaced = machine.folder(&instance).join("data/replaced/memory.sqlite3");
    assert_eq!(std::fs::read_to_string(replaced).unwrap(), "spoiled\n");
    // The instance works, and is verified again.
    console.does(OperationKind::Recover, &instance);
}

#[test]
fn a_program_that_is_none_is_refused_while_the_instance_runs_on() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let instance = console.create(new("one"));
    let pid = machine.pid(&instance);
    for path in [PathBuf::from("/bin/echo"), machine.path().join("missing"), machine.path().to_owned()] {
        let operation = upgrade(&console, &instance, &path);
        console.failed(&operation);
        let ended = console.ended(&operation);
        assert_eq!(ended.state, OperationState::Failed);
        assert_eq!(machine.pid(&instance), pid, "{}", path.display());
    }
    assert!(console.is_alive(&instance));
}

#[test]
fn an_instance_stays_on_its_program_when_the_file_is_replaced() {
    let machine = Machine::new();
    let real = env!("CARGO_BIN_EXE_memcloud");
    let path = program(&machine, &format!("exec '{real}' \"$@\""));
    let console = Console::start_with(&machine, Checked(None), &path);
    let instance = console.create(new("one"));
    program(&machine, "exit 1");
    console.does(OperationKind::Restart, &instance);
    console.crash();
    // The console that comes next is of the new program, and its instances are not yet.
    let next = Console::start_with(&machine, Checked(None), &path);
    next.does(OperationKind::Restart, &instance);
    next.failed(&next.begin(&instance, OperationKind::Upgrade, &json!({})));
    assert!(next.is_alive(&instance));
}
