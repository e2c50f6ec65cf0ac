//! A real `memcloud up`, and the client of its console.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use memcloud_api::console::{
    Accepted, Connection, DeleteInstance, Instance, Leftover, NewInstance, Operation, OperationEvent, Reason,
};
use memcloud_client::Console as Api;
use memcloud_test_servers::{Database, SharedNeo4j};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::console::{Machine, PATIENCE, eventually};

/// `memcloud up`, and the client of its console. It is killed when dropped.
pub(crate) struct Up {
    process: Child,
    pub(crate) api: Api,
    runtime: Runtime,
    pub(crate) machine: Machine,
}

/// What there is on the machine.
#[derive(Debug, PartialEq)]
pub(crate) struct There {
    pub(crate) processes: usize,
    pub(crate) folders: usize,
    pub(crate) ports: usize,
    leftovers: Vec<Leftover>,
}

/// An embedded instance.
pub(crate) fn embedded(name: &str) -> NewInstance {
    NewInstance { name: name.into(), ..NewInstance::default() }
}

/// An instance on these databases.
pub(crate) fn on(name: &str, graph: Connection, postgres: String) -> NewInstance {
    let postgres = Connection { connection_string: postgres, username: None, password: None };
    NewInstance { neo4j: Some(graph), postgres: Some(postgres), ..embedded(name) }
}

/// An instance on the shared databases.
pub(crate) fn on_shared(database: &Database, name: &str) -> NewInstance {
    let graph = SharedNeo4j::from_environment();
    let graph = Connection {
        connection_string: graph.uri(),
        username: Some(graph.user().to_owned()),
        password: Some(graph.password().to_owned()),
    };
    on(name, graph, database.url())
}

impl Up {
    pub(crate) fn start() -> Self {
        // Fails only when a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let machine = Machine::of_up();
        let mut process = spawn(&machine);
        let facts: Value = serde_json::from_str(&ready(&mut process)).unwrap();
        let (url, token) = (facts["console"].as_str().unwrap(), facts["api_token"].as_str().unwrap());
        let api = Api::new(url, Some(token.into())).unwrap().retrying(3);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { process, api, runtime, machine }
    }

    /// Kills the console alone, and starts the next one, which is not ready yet.
    pub(crate) fn kill_and_start(&mut self) {
        self.kill();
        self.process = spawn(&self.machine);
    }

    /// Kills the console alone.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the console after one that was killed, and waits until it is ready.
    pub(crate) fn start_again(&mut self) {
        self.process = spawn(&self.machine);
        self.is_ready();
    }

    /// Waits until the console that was started last is ready.
    pub(crate) fn is_ready(&mut self) {
        ready(&mut self.process);
    }

    pub(crate) fn block_on<T, E: std::fmt::Debug>(&self, work: impl Future<Output = Result<T, E>>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.unwrap() }).unwrap()
    }

    pub(crate) fn begin_create(&self, new: &NewInstance) -> Accepted {
        self.block_on(self.api.create_instance(new))
    }

    /// Makes an instance, which must succeed.
    #[track_caller]
    pub(crate) fn create(&self, new: &NewInstance) -> Instance {
        let begun = self.begin_create(new);
        let ended = self.ended_in_time(&begun.operation);
        assert_eq!(ended.state, "succeeded", "{ended:?}");
        self.instance(&begun.instance.id).unwrap()
    }

    pub(crate) fn delete(&self, instance: &Instance) -> Accepted {
        let how = DeleteInstance { confirm: instance.name.clone(), data: Some("delete".into()) };
        self.block_on(self.api.delete_instance(&instance.id, &how))
    }

    /// Waits for an event of an operation; `None` if the operation ends without it.
    pub(crate) fn event(
        &self,
        operation: &Operation,
        is_it: impl Fn(&OperationEvent) -> bool,
    ) -> Option<OperationEvent> {
        let mut events = self.api.events(&operation.id, 0);
        loop {
            let event = self.block_on(events.next());
            if event.as_ref().is_none_or(&is_it) {
                return event;
            }
        }
    }

    /// The operation when it has ended.
    pub(crate) fn ended(&self, operation: &Operation) -> Operation {
        self.event(operation, |_| false);
        self.operation(&operation.id)
    }

    /// The operation when it has ended. It is retried as long as it names a time limit: a machine that is busy with other tests,
    /// or a server that has just started, may be too slow for it.
    pub(crate) fn ended_in_time(&self, operation: &Operation) -> Operation {
        const LIMITS: [&str; 3] = ["a store took", "no_timeout: ", "does not answer"];
        loop {
            let ended = self.ended(operation);
            let is_slow = |reason: &Reason| LIMITS.iter().any(|limit| reason.message.contains(limit));
            if !ended.reason.as_ref().is_some_and(is_slow) {
                return ended;
            }
            self.block_on(self.api.retry(&operation.id));
        }
    }

    pub(crate) fn operation(&self, id: &str) -> Operation {
        self.block_on(self.api.operation(id))
    }

    pub(crate) fn instance(&self, id: &str) -> Option<Instance> {
        self.block_on(async {
            match self.api.instance(id).await {
                Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => Ok(None),
                found => found.map(Some),
            }
        })
    }

    pub(crate) fn there(&self) -> There {
        let listens = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_ok();
        There {
            processes: self.machine.processes().len(),
            folders: std::fs::read_dir(self.machine.path().join("instances")).unwrap().count(),
            ports: self.machine.ports().filter(listens).count(),
            leftovers: self.block_on(self.api.leftovers()).leftovers,
        }
    }

    /// When an instance that runs was last seen to remember.
    #[track_caller]
    pub(crate) fn memory_checked(&self, id: &str) -> Timestamp {
        let instance = self.instance(id).unwrap();
        assert_eq!(instance.state, "running", "{instance:?}");
        checked(&instance, "memory_working")
    }

    /// Waits until an instance runs again by itself. It must say why it did not, and prove itself before it is called running.
    #[track_caller]
    pub(crate) fn comes_back(&self, id: &str, after: Timestamp) {
        eventually("it runs again", || {
            let instance = self.instance(id).unwrap();
            if matches!(&*instance.state, "degraded" | "crashed") {
                let reason = instance.reason.as_ref().unwrap();
                assert!(!reason.message.is_empty() && !reason.hint.is_empty(), "{instance:?}");
            }
            instance.state == "running"
        });
        assert!(self.memory_checked(id) > after, "it was proven since");
    }

    /// Runs the command line against this console.
    pub(crate) fn memcloud(&self, args: &[&str]) -> String {
        let ran = memcloud(&self.machine).args(args).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// The process that an instance says it has.
    pub(crate) fn pid(&self, id: &str) -> u32 {
        self.maybe_pid(id).unwrap()
    }

    /// The same of one that may be starting or stopping.
    pub(crate) fn maybe_pid(&self, id: &str) -> Option<u32> {
        let file = self.machine.path().join("instances").join(id).join("process.json");
        let record: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        record["pid"].as_u64()?.try_into().ok()
    }
}

/// When an instance was last seen to have a capability, which it must have.
#[track_caller]
pub(crate) fn checked(instance: &Instance, capability: &str) -> Timestamp {
    let seen = instance.capabilities.iter().find(|seen| seen.name == capability).unwrap();
    assert_eq!(seen.state, "yes", "{instance:?}");
    seen.checked_at.as_ref().unwrap().parse().unwrap()
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already. The machine ends the instances.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            say(&std::fs::read_to_string(log(&self.machine)).unwrap_or_default());
        }
    }
}

/// The program, with nothing of the tester's own environment.
fn memcloud(machine: &Machine) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memcloud"));
    command.env_clear().env("HOME", home(machine)).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null());
    command
}

/// The data directory, and the home of what runs.
fn home(machine: &Machine) -> &Path {
    machine.path().parent().unwrap()
}

/// What consoles say besides.
fn log(machine: &Machine) -> PathBuf {
    home(machine).join("up.log")
}

fn spawn(machine: &Machine) -> Child {
    // Each console listens where the one before did.
    let (console, instances) =
        (*machine.ports().start(), machine.ports().start() + 1..=*machine.ports().end());
    let mut command = memcloud(machine);
    command.args(["up", "--offline", "--json", "--listen", &format!("127.0.0.1:{console}")]);
    command.arg("--data-dir").arg(home(machine)).env("MEMCLOUD_INSTANCE_LISTEN", "127.0.0.1:0");
    command.env("MEMCLOUD_INSTANCE_PORTS", format!("{}-{}", instances.start(), instances.end()));
    let log = File::options().create(true).append(true).open(log(machine)).unwrap();
    command.stdout(Stdio::piped()).stderr(log).spawn().unwrap()
}

/// What it prints once it is ready.
pub(crate) fn ready(process: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "it ends before it is ready: {:?}", process.wait());
    line
}

/// Shown with `--nocapture`.
pub(crate) fn say(line: &str) {
    // Nothing depends on it.
    let _ = writeln!(std::io::stderr(), "{line}");
}
