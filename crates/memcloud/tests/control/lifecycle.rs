//! What becomes of an instance from its making to its removal.

use std::process::{Command, Stdio};

use memcloud_api::native::NewKey;
use memcloud_control::operations::StepState;
use memcloud_control::targets::LeftoverKind;
use memcloud_control::verify::{CapabilityName, CapabilityState};
use memcloud_control::{Data, NewInstance, OperationKind, State};
use memcloud_domain::Right;
use serde_json::json;

use crate::console::{Console, Machine, caller, eventually, kill, new};

#[test]
fn an_instance_is_made_verified_stopped_started_and_removed_with_its_data() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let (instance, operation) = console.begin_create(new("one"));
    console.succeeded(&operation);
    let instance = console.instance(&instance.id);
    assert_eq!(instance.state, State::Running);
    assert_eq!(instance.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(instance.url.clone().unwrap(), machine.record(&instance).url);
    let capabilities = console.block_on(console.control.capabilities(&instance.id)).unwrap();
    let of = |name| capabilities.iter().find(|capability| capability.name == name).unwrap().state;
    assert_eq!(of(CapabilityName::MemoryWorking), CapabilityState::Yes);
    assert_eq!(of(CapabilityName::Persistence), CapabilityState::Yes);
    assert_eq!(of(CapabilityName::ChatEnabled), CapabilityState::NotChecked);
    assert_eq!(machine.processes(), [machine.pid(&instance)]);

    console.store(&instance, "I moved to Lisbon in May");
    let stopped = console.does(OperationKind::Stop, &instance);
    assert_eq!(stopped.state, State::Stopped);
    assert_eq!(machine.processes(), [0_u32; 0]);
    console.does(OperationKind::Stop, &instance);
    let started = console.does(OperationKind::Start, &instance);
    assert_eq!((started.state, &started.url), (State::Running, &instance.url));
    let before = machine.pid(&instance);
    console.does(OperationKind::Restart, &instance);
    assert_ne!(machine.pid(&instance), before);
    assert_eq!(console.search(&instance, "Lisbon"), ["I moved to Lisbon in May"]);

    console.delete(&instance, Data::Delete);
    console.is(&instance, State::Removed);
    assert_eq!(machine.processes(), [0_u32; 0]);
    assert!(!machine.folder(&instance).exists());
    assert!(console.block_on(console.store.sealed_settings(&instance.id)).is_err());
    assert_eq!(console.leftovers(), []);
}

#[test]
fn data_that_are_kept_are_listed() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let instance = console.create(new("one"));
    console.store(&instance, "I moved to Lisbon in May");
    console.delete(&instance, Data::Keep);
    assert!(machine.folder(&instance).join("data/memory.sqlite3").exists());
    let leftovers = console.leftovers();
    assert_eq!(leftovers.len(), 1, "{leftovers:?}");
    assert_eq!(leftovers[0].kind, LeftoverKind::Folder);
    assert_eq!(leftovers[0].place, machine.folder(&instance).display().to_string());
    assert!(leftovers[0].reason.contains("'one' was deleted"), "{leftovers:?}");
}

#[test]
fn secrets_are_neither_in_the_command_line_nor_in_the_log() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let instance = console.create(new("one"));
    let pid = machine.pid(&instance).to_string();
    let shown = Command::new("ps").args(["-p", &pid, "-o", "args="]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(" serve ") && !shown.contains("mcc_"), "{shown}");
    let log = console.log(&instance);
    assert!(log.contains("listening on") && !log.contains("mcc_"), "{log}");
}

#[test]
fn an_earlier_data_directory_becomes_an_instance_and_loses_only_its_memory() {
    let machine = Machine::new();
    let data_dir = machine.path().join("earlier");
    std::fs::create_dir(&data_dir).unwrap();
    std::fs::write(data_dir.join("letter.txt"), "mine").unwrap();
    let console = Console::start(&machine);
    let given = || NewInstance { placement: json!({"data_dir": data_dir}), ..new("first") };
    let instance = console.create(given());
    console.store(&instance, "I moved to Lisbon in May");
    console.delete(&instance, Data::Keep);
    assert!(console.leftovers().iter().any(|it| it.place == data_dir.display().to_string()));

    let again = console.create(given());
    assert_eq!(console.search(&again, "Lisbon"), ["I moved to Lisbon in May"]);
    console.delete(&again, Data::Delete);
    let left: Vec<_> =
        std::fs::read_dir(&data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["letter.txt"]);
}

#[test]
fn a_clone_has_the_data_and_opens_with_none_of_the_keys() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let original = console.create(new("one"));
    console.store(&original, "I moved to Lisbon in May");
    let key = NewKey {
        name: "reader".into(),
        rights: vec![json!(Right::Read.to_string())],
        spaces: None,
        expires_at: None,
    };
    console.block_on(console.control.create_key(&caller(), &original.id, &key)).unwrap();
    let caller = caller();
    let cloning = console.control.clone_instance(&caller, &original.id, "two".parse().unwrap());
    let (copy, operation) = console.block_on(cloning).unwrap();
    console.succeeded(&operation);
    let copy = console.instance(&copy.id);
    assert_ne!(copy.url, original.url);
    assert_eq!(console.search(&copy, "Lisbon"), ["I moved to Lisbon in May"]);
    let keys = console.block_on(console.client(&copy).keys()).unwrap().keys;
    assert!(keys.iter().all(|key| key.state == "revoked"), "{keys:?}");
    console.store(&copy, "I moved to Porto in June");
    assert_eq!(console.search(&original, "Porto"), ["I moved to Lisbon in May"]);
}

#[test]
fn a_process_outlives_the_console_and_is_adopted_by_the_next_one() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let instance = console.create(new("one"));
    let pid = machine.pid(&instance);
    console.crash();

    let next = Console::start(&machine);
    assert!(next.is_alive(&instance));
    next.does(OperationKind::Start, &instance);
    assert_eq!(machine.processes().len(), 1);
    next.does(OperationKind::Stop, &instance);
    assert!(!next.is_alive(&instance));
    eventually("the adopted process is gone", || !machine.processes().contains(&pid));
}

#[test]
fn a_second_process_of_an_instance_ends_at_once_and_touches_nothing() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let instance = console.create(new("one"));
    let record = machine.record(&instance);
    let second = Command::new(env!("CARGO_BIN_EXE_memcloud"))
        .args(["serve", "--listen", "127.0.0.1:0", "--offline", "--process-file"])
        .arg(machine.folder(&instance).join("process.json"))
        .arg("--data-dir")
        .arg(machine.path().join("other"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(6), "{second:?}");
    assert!(String::from_utf8_lossy(&second.stderr).contains("the instance runs already"), "{second:?}");
    assert!(!machine.path().join("other").exists());
    assert_eq!(machine.record(&instance), record);
    assert!(console.is_alive(&instance));
}

#[test]
fn an_instance_that_was_killed_is_gone_and_can_be_recovered() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let instance = console.create(new("one"));
    console.store(&instance, "I moved to Lisbon in May");
    kill("KILL", machine.pid(&instance));
    eventually("the kill is seen", || !console.is_alive(&instance));
    let recovered = console.does(OperationKind::Recover, &instance);
    assert_eq!(recovered.state, State::Running);
    assert_eq!(console.search(&recovered, "Lisbon"), ["I moved to Lisbon in May"]);
    // Recovering one that lives starts nothing.
    console.does(OperationKind::Recover, &instance);
    assert_eq!(machine.processes().len(), 1);
}

#[test]
fn the_steps_of_an_operation_say_what_they_did() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let (_, operation) = console.begin_create(new("one"));
    let ended = console.ended(&operation);
    assert!(ended.steps.iter().all(|step| step.state == StepState::Done), "{ended:?}");
    let names: Vec<_> = ended.steps.iter().map(|step| step.planned.name.as_str()).collect();
    assert_eq!(names, ["reserve", "folder", "start", "ready", "verify"]);
    assert_eq!(ended.steps[4].outputs.as_ref().unwrap()["persistence"], "passed");
}
