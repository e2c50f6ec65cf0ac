//! What goes wrong when instances are made and run: each fault is said with its hint, and leaves nothing half-made.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use memcloud_control::targets::LeftoverKind;
use memcloud_control::{InstanceId, NewInstance, OperationKind, State};
use serde_json::{Value, json};

use crate::console::{Checked, Console, Machine, caller, new, program};

fn listens() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Nothing of an instance is there.
#[track_caller]
fn nothing_is_left(machine: &Machine, console: &Console) {
    assert_eq!(machine.processes(), [0_u32; 0]);
    assert_eq!(std::fs::read_dir(machine.path().join("instances")).unwrap().count(), 0);
    assert_eq!(console.leftovers(), []);
}

#[test]
fn a_refused_connection_is_said_before_anything_is_made() {
    let machine = Machine::new();
    let refuses = Checked(Some("PostgreSQL does not accept the user or the password"));
    let console = Console::start_with(&machine, refuses, Path::new(env!("CARGO_BIN_EXE_memcloud")));
    let mut postgres = new("one");
    postgres.settings.postgres = serde_json::from_value(
        json!({"connection_string": "postgres://h/d", "username": "a", "password": "b"}),
    )
    .unwrap();
    let (instance, operation) = console.begin_create(postgres);
    let reason = console.failed(&operation);
    assert_eq!(reason.message, "PostgreSQL does not accept the user or the password");
    console.is(&instance, State::Failed);
    let folder = console.block_on(console.store.operation(&operation.id)).unwrap();
    let started = folder.steps.iter().find(|step| step.planned.name == "folder").unwrap().started_at;
    assert_eq!(started, None);
    nothing_is_left(&machine, &console);
}

#[test]
fn an_address_that_is_taken_is_said_and_another_instance_gets_another_one() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let (_listener, address) = listens();
    let given = NewInstance { placement: json!({"listen": address}), ..new("one") };
    let (_, operation) = console.begin_create(given);
    let reason = console.failed(&operation);
    assert!(reason.message.contains(&address) && reason.message.contains("taken"), "{reason:?}");
    nothing_is_left(&machine, &console);
    let (two, three) = (console.create(new("two")), console.create(new("three")));
    assert_ne!(two.url, three.url);
}

#[test]
fn a_program_at_the_address_of_a_stopped_instance_is_found() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let instance = console.create(new("one"));
    console.does(OperationKind::Stop, &instance);
    let listen = console.placement(&instance).listen.unwrap();
    let listener = TcpListener::bind(listen).unwrap();
    let leftovers = console.leftovers();
    assert_eq!(leftovers.len(), 1, "{leftovers:?}");
    assert_eq!((leftovers[0].kind, &leftovers[0].place), (LeftoverKind::Port, &listen.to_string()));
    let operation = console.begin(&instance, OperationKind::Start, &Value::Null);
    let reason = console.failed(&operation);
    assert!(reason.message.contains("taken"), "{reason:?}");
    drop(listener);
    let retried = console.block_on(console.control.retry(&caller(), &operation.id)).unwrap();
    console.succeeded(&retried);
    console.is(&instance, State::Running);
}

#[test]
fn a_data_directory_that_another_process_holds_is_said_as_the_process_says_it() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let holder = console.create(new("holder"));
    let data_dir = console.placement(&holder).data_dir.unwrap();
    let given = NewInstance { placement: json!({"data_dir": data_dir}), ..new("one") };
    let (instance, operation) = console.begin_create(given);
    let reason = console.failed(&operation);
    assert!(reason.message.starts_with("another process has the data in"), "{reason:?}");
    assert!(reason.hint.contains("stop the other memcloud"), "{reason:?}");
    assert!(!machine.folder(&instance).exists());
    assert!(data_dir.join("memory.sqlite3").exists() && console.is_alive(&holder));
    console.store(&holder, "I moved to Lisbon in May");
}

#[test]
fn folders_and_processes_without_an_owner_are_found() {
    let machine = Machine::new();
    let console = Console::start(&machine);
    let folder = machine.path().join("instances").join(InstanceId::random().as_str());
    std::fs::create_dir(&folder).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_memcloud"))
        .args(["serve", "--listen", "127.0.0.1:0", "--offline", "--process-file"])
        .arg(folder.join("process.json"))
        .arg("--data-dir")
        .arg(folder.join("data"))
        .spawn()
        .unwrap();
    crate::console::eventually("the process has its file", || console.leftovers().len() == 2);
    let leftovers = console.leftovers();
    assert_eq!(leftovers[0].place, folder.display().to_string());
    assert_eq!((leftovers[1].kind, &leftovers[1].place), (LeftoverKind::Process, &child.id().to_string()));
    assert!(leftovers[1].hint.contains("kill"), "{leftovers:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(console.leftovers().len(), 1);
}

#[test]
fn a_settings_file_of_the_user_is_not_for_instances() {
    let machine = Machine::new();
    let config = machine.path().join(".config/memcloud");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "database_url = 'postgres://ann@127.0.0.1:1/none'\n").unwrap();
    let console = Console::start(&machine);
    console.create(new("one"));
}

#[test]
fn a_full_disk_is_said_and_nothing_is_half_made() {
    let machine = Machine::new();
    let real = env!("CARGO_BIN_EXE_memcloud");
    let mount = "mkdir -p \"$MEMCLOUD_DATA_DIR\" && mount -t tmpfs -o size=64k none \"$MEMCLOUD_DATA_DIR\"";
    let small = format!(
        "exec unshare --user --map-root-user --mount sh -c '{mount} && exec \"$0\" \"$@\"' '{real}' \"$@\""
    );
    let console = Console::start_with(&machine, Checked(None), &program(&machine, &small));
    let (_, operation) = console.begin_create(new("one"));
    let reason = console.failed(&operation);
    assert!(reason.message.contains("full") && reason.hint.contains("free"), "{reason:?}");
    nothing_is_left(&machine, &console);
}
