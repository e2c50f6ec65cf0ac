//! A console without its API, in a folder of a test's own. Dropping it is a kill; its instances live on.

use std::fs::DirBuilder;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use memcloud_api::memmachine_v1::{NewEpisode, SearchQuery, Session};
use memcloud_client::Client;
use memcloud_control::instances::{Settings, TargetKind};
use memcloud_control::operations::Event;
use memcloud_control::targets::local::{LocalSetup, LocalTarget, Placement, ProcessRecord};
use memcloud_control::targets::{ConnectionCheck, Leftover, LogPosition, Observed, SettingsSource, Targets};
use memcloud_control::{
    Caller, Control, ControlStore, Data, Instance, InstanceId, NewInstance, Operation, OperationKind,
    OperationState, OrganizationId, Reason, Seal, Secrets, State, Target,
};
use memcloud_control_store::SqliteControlStore;
use memcloud_domain::SystemClock;
use memcloud_tasks::Tasks;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Long enough for any machine; only a broken console takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);
const PROGRAM: &str = env!("CARGO_BIN_EXE_memcloud");
const SEALING_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The folder of a console. Its instances are killed when it is dropped.
pub(crate) struct Machine {
    path: PathBuf,
    _dir: TempDir,
    /// Of its own, below those that the system gives to programs that do not choose: tests run side by side.
    ports: RangeInclusive<u16>,
}

/// How many ports a test may need, and the first one of all tests.
const PORTS: u16 = 8;
static NEXT_PORT: AtomicU16 = AtomicU16::new(21_000);

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().to_owned();
        Self::at(path, dir, "programs")
    }

    /// The folder of the console that `memcloud up` runs on a data directory.
    pub(crate) fn of_up() -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("console");
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        // It removes the programs that its instances do not run, such as those that upgrades of other tests need.
        Self::at(path, dir, "programs-of-up")
    }

    fn at(path: PathBuf, dir: TempDir, programs: &str) -> Self {
        // Tests share one copy of the program, which is large.
        let programs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(programs);
        std::fs::create_dir_all(&programs).unwrap();
        symlink(programs, path.join("programs")).unwrap();
        Self { path, _dir: dir, ports: free_ports() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn ports(&self) -> RangeInclusive<u16> {
        self.ports.clone()
    }

    pub(crate) fn folder(&self, instance: &Instance) -> PathBuf {
        self.folder_of(&instance.id)
    }

    fn folder_of(&self, id: &InstanceId) -> PathBuf {
        self.path().join("instances").join(id.as_str())
    }

    /// What the process of an instance has written about itself.
    pub(crate) fn record(&self, instance: &Instance) -> ProcessRecord {
        let file = self.folder(instance).join("process.json");
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    pub(crate) fn pid(&self, instance: &Instance) -> u32 {
        self.record(instance).pid
    }

    /// The processes that run an instance in this folder.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let listed = Command::new("ps").args(["-A", "-o", "pid=,stat=,args="]).output().unwrap();
        let place = self.path().join("instances").display().to_string();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let own = listed.lines().filter(|line| line.contains(&place));
        own.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
    }
}

/// Ports that no other test has. Other programs may use some of those below.
fn free_ports() -> RangeInclusive<u16> {
    loop {
        let first = NEXT_PORT.fetch_add(PORTS, Ordering::Relaxed);
        let ports = first..=first + PORTS - 1;
        if ports.clone().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return ports;
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for pid in self.processes() {
            kill("KILL", pid);
        }
    }
}

pub(crate) fn kill(signal: &str, pid: u32) {
    let _ = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
}

/// A program that says a version, and then does what this script does.
pub(crate) fn program(machine: &Machine, does: &str) -> PathBuf {
    let path = machine.path().join("program");
    let script = format!("#!/bin/sh\n[ \"$1\" = --version ] && echo 'memcloud 9.9.9' && exit\n{does}\n");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Waits for a condition.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Opened(Secrets);

#[async_trait]
impl SettingsSource for Opened {
    async fn settings(&self, instance: &InstanceId) -> Result<Settings, Reason> {
        self.0.settings(instance).await.map_err(|error| Reason::new(error.to_string(), "test"))
    }
}

/// Connections that all work, except for one that is said.
pub(crate) struct Checked(pub(crate) Option<&'static str>);

#[async_trait]
impl ConnectionCheck for Checked {
    async fn check(&self, _settings: &Settings) -> Result<Vec<String>, Reason> {
        self.0.map_or(Ok(vec!["it answers".into()]), |refused| Err(Reason::new(refused, "correct it")))
    }
}

pub(crate) struct Console {
    pub(crate) control: Control,
    pub(crate) target: LocalTarget,
    pub(crate) store: Arc<dyn ControlStore>,
    // Dropped last: everything that runs is cut off then.
    runtime: Runtime,
}

pub(crate) fn caller() -> Caller {
    Caller::system("team".parse::<OrganizationId>().unwrap())
}

/// A new embedded instance.
pub(crate) fn new(name: &str) -> NewInstance {
    NewInstance {
        name: name.parse().unwrap(),
        target: TargetKind::Local,
        topology: None,
        settings: Settings::default(),
        placement: Value::Null,
    }
}

impl Console {
    pub(crate) fn start(machine: &Machine) -> Self {
        Self::start_with(machine, Checked(None), Path::new(PROGRAM))
    }

    pub(crate) fn start_with(machine: &Machine, connections: Checked, program: &Path) -> Self {
        // Fails only when a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let opened = runtime.block_on(async {
            let store: Arc<dyn ControlStore> =
                Arc::new(SqliteControlStore::open(&machine.path().join("console.sqlite3")).unwrap());
            let secrets = Secrets::new(Arc::clone(&store), Seal::from_text(SEALING_KEY).unwrap());
            let (clock, tasks) = (Arc::new(SystemClock), Arc::new(Tasks::new()));
            let variable = |name: &str, value: String| (name.to_owned(), value);
            let setup = LocalSetup {
                data_dir: machine.path().to_owned(),
                program: Some(program.to_owned()),
                ports: machine.ports.clone(),
                environment: vec![
                    variable("PATH", std::env::var("PATH").unwrap_or_default()),
                    variable("HOME", machine.path().display().to_string()),
                    variable("MEMCLOUD_OFFLINE", "true".into()),
                ],
                settings: Arc::new(Opened(secrets.clone())),
                connections: Arc::new(connections),
                store: Arc::clone(&store),
                clock: clock.clone(),
                tasks: Arc::clone(&tasks),
            };
            let target = LocalTarget::open(setup).await.unwrap();
            let targets = Targets::new(Arc::new(target.clone()));
            let control = Control::new(Arc::clone(&store), secrets, targets, clock, tasks);
            (control, target, store)
        });
        Self { control: opened.0, target: opened.1, store: opened.2, runtime }
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.unwrap() })
    }

    /// Ends as with `kill -9`.
    pub(crate) fn crash(self) {
        self.runtime.shutdown_background();
    }

    pub(crate) fn begin_create(&self, new: NewInstance) -> (Instance, Operation) {
        self.block_on(self.control.create(&caller(), new)).unwrap()
    }

    /// Makes an instance, which must succeed.
    #[track_caller]
    pub(crate) fn create(&self, new: NewInstance) -> Instance {
        let (instance, operation) = self.begin_create(new);
        self.succeeded(&operation);
        self.instance(&instance.id)
    }

    pub(crate) fn begin(&self, instance: &Instance, kind: OperationKind, request: &Value) -> Operation {
        self.block_on(self.control.begin(&caller(), &instance.id, kind, request)).unwrap()
    }

    /// An operation that must succeed. Returns the instance after it.
    #[track_caller]
    pub(crate) fn does(&self, kind: OperationKind, instance: &Instance) -> Instance {
        let operation = self.begin(instance, kind, &Value::Null);
        self.succeeded(&operation);
        self.instance(&instance.id)
    }

    pub(crate) fn begin_delete(&self, instance: &Instance, data: Data) -> Operation {
        let name = instance.name.as_str();
        self.block_on(async { self.control.delete(&caller(), &instance.id, name, data).await }).unwrap()
    }

    #[track_caller]
    pub(crate) fn delete(&self, instance: &Instance, data: Data) {
        let operation = self.begin_delete(instance, data);
        self.succeeded(&operation);
    }

    #[track_caller]
    pub(crate) fn succeeded(&self, operation: &Operation) {
        let ended = self.ended(operation);
        let events = self.events(operation);
        assert_eq!(ended.state, OperationState::Succeeded, "{:?}\n{events:#?}", ended.reason);
    }

    /// Why an operation failed, which it must.
    #[track_caller]
    pub(crate) fn failed(&self, operation: &Operation) -> Reason {
        let ended = self.ended(operation);
        assert_eq!(ended.state, OperationState::Failed, "{ended:?}");
        ended.reason.unwrap()
    }

    /// The operation when it has ended.
    pub(crate) fn ended(&self, operation: &Operation) -> Operation {
        self.block_on(async {
            let mut after = 0;
            while let Some(events) = self.control.next_events(&operation.id, after).await.unwrap() {
                after = events.last().unwrap().number;
            }
            self.store.operation(&operation.id).await.unwrap()
        })
    }

    pub(crate) fn events(&self, operation: &Operation) -> Vec<Event> {
        self.block_on(self.store.events(&operation.id, 0, 1_000)).unwrap()
    }

    /// The instance as it is now, also when it is removed.
    pub(crate) fn instance(&self, id: &InstanceId) -> Instance {
        self.block_on(self.store.instance(id)).unwrap()
    }

    #[track_caller]
    pub(crate) fn is(&self, instance: &Instance, state: State) {
        let now = self.instance(&instance.id);
        assert_eq!(now.state, state, "{:?}", now.reason);
    }

    pub(crate) fn placement(&self, instance: &Instance) -> Placement {
        Placement::of(&self.instance(&instance.id)).unwrap()
    }

    pub(crate) fn is_alive(&self, instance: &Instance) -> bool {
        self.block_on(self.target.observe(instance)) == Observed::Alive
    }

    pub(crate) fn leftovers(&self) -> Vec<Leftover> {
        self.block_on(self.control.leftovers(&caller())).unwrap()
    }

    pub(crate) fn log(&self, instance: &Instance) -> String {
        self.block_on(self.target.log(instance, LogPosition::Byte(0))).unwrap().text
    }

    pub(crate) fn client(&self, instance: &Instance) -> Client {
        self.block_on(self.control.client(instance)).unwrap()
    }

    /// Stores a message.
    pub(crate) fn store(&self, instance: &Instance, content: &str) {
        let episode: NewEpisode = serde_json::from_value(json!({
            "session": session(), "producer": "ann", "produced_for": "", "episode_content": content,
            "episode_type": "message", "metadata": {},
        }))
        .unwrap();
        self.block_on(self.client(instance).store(&episode)).unwrap();
    }

    /// The messages that a search finds.
    pub(crate) fn search(&self, instance: &Instance, query: &str) -> Vec<String> {
        let query: SearchQuery =
            serde_json::from_value(json!({"session": session(), "query": query, "limit": 9})).unwrap();
        let found = self.block_on(self.client(instance).search(&query)).unwrap();
        let found = serde_json::to_value(found).unwrap();
        let contents =
            found.as_array().unwrap().iter().map(|hit| hit["content"].as_str().unwrap().to_owned());
        contents.collect()
    }
}

fn session() -> Session {
    Session {
        group_id: "g".into(),
        session_id: "s".into(),
        user_id: Some(vec!["ann".into()]),
        agent_id: Some(vec![]),
    }
}
