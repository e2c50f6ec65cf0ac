//! The process of the console is killed at every event of an operation. The next one goes on, and ends as if nothing had happened.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use jiff::Timestamp;
use memcloud_api::console::{Accepted, DeleteInstance, Instance, Leftover, NewInstance, Upgrade};
use memcloud_client::{Console as Api, OperationsQuery};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::console::{Machine, PATIENCE, eventually, kill};

/// `memcloud up`, and the client of its console. It is killed when dropped.
struct Up {
    process: Child,
    api: Api,
    runtime: Runtime,
    machine: Machine,
}

/// What an operation has left.
#[derive(Debug, PartialEq)]
struct Outcome {
    operation: String,
    /// Each step with its state.
    steps: Vec<(String, String)>,
    /// The state of the instance with its capabilities; nothing of one that is removed.
    state: Option<String>,
    capabilities: Vec<(String, String)>,
    /// How many there are on this machine.
    processes: usize,
    folders: usize,
    ports: usize,
    leftovers: Vec<Leftover>,
}

impl Up {
    fn start() -> Self {
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
    fn kill_and_start(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(&self.machine);
    }

    fn block_on<T, E: std::fmt::Debug>(&self, work: impl Future<Output = Result<T, E>>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.unwrap() }).unwrap()
    }

    fn create(&self, name: &str) -> Accepted {
        self.block_on(self.api.create_instance(&NewInstance { name: name.into(), ..NewInstance::default() }))
    }

    fn upgrade(&self, instance: &Instance) -> Accepted {
        self.block_on(self.api.upgrade(&instance.id, &Upgrade::default()))
    }

    fn delete(&self, instance: &Instance) -> Accepted {
        let how = DeleteInstance { confirm: instance.name.clone(), data: Some("delete".into()) };
        self.block_on(self.api.delete_instance(&instance.id, &how))
    }

    /// Follows an operation to its end. The console is killed after the event of this number, if there is one; returns what
    /// that event said.
    fn follow(&mut self, operation: &str, kill_after: Option<u64>) -> Option<String> {
        let (mut events, mut killed_after) = (self.api.events(operation, 0), None);
        let mut last = 0;
        while let Some(event) = self.block_on(events.next()) {
            assert_eq!(event.number, last + 1, "the journal goes on where it was: {event:?}");
            last = event.number;
            if kill_after == Some(event.number) {
                self.kill_and_start();
                let of = event.step.unwrap_or(event.kind);
                killed_after = Some(format!("{of}: {} ({})", event.state, event.message));
            }
        }
        if killed_after.is_some() {
            ready(&mut self.process);
        }
        killed_after
    }

    fn instance(&self, id: &str) -> Option<Instance> {
        self.block_on(async {
            match self.api.instance(id).await {
                Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => Ok(None),
                found => found.map(Some),
            }
        })
    }

    fn outcome(&self, begun: &Accepted) -> Outcome {
        let operation = self.block_on(self.api.operation(&begun.operation.id));
        let instance = self.instance(&begun.instance.id);
        let capabilities = instance.iter().flat_map(|instance| &instance.capabilities);
        let processes = self.machine.processes();
        let folders = std::fs::read_dir(self.machine.path().join("instances")).unwrap().count();
        let listens = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_ok();
        Outcome {
            operation: format!("{} {}", operation.state, operation.kind),
            steps: operation.steps.into_iter().map(|step| (step.name, step.state)).collect(),
            capabilities: capabilities.map(|seen| (seen.name.clone(), seen.state.clone())).collect(),
            state: instance.map(|instance| instance.state),
            processes: processes.len(),
            folders,
            ports: self.machine.ports().filter(listens).count(),
            leftovers: self.block_on(self.api.leftovers()).leftovers,
        }
    }

    /// When an instance that runs was last seen to remember.
    fn memory_checked(&self, id: &str) -> Timestamp {
        let instance = self.block_on(self.api.instance(id));
        let memory = instance.capabilities.iter().find(|seen| seen.name == "memory_working").unwrap();
        assert_eq!((&*instance.state, &*memory.state), ("running", "yes"), "{instance:?}");
        memory.checked_at.as_ref().unwrap().parse().unwrap()
    }

    /// Runs the command line against this console.
    fn memcloud(&self, args: &[&str]) -> String {
        let ran = memcloud(&self.machine).args(args).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// The process that an instance says it has.
    fn pid(&self, id: &str) -> u32 {
        let file = self.machine.path().join("instances").join(id).join("process.json");
        let record: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        record["pid"].as_u64().unwrap().try_into().unwrap()
    }
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
fn ready(process: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "it ends before it is ready: {:?}", process.wait());
    line
}

/// Shown with `--nocapture`.
fn say(line: &str) {
    // Nothing depends on it.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn operations_of_a_killed_console_end_as_if_nothing_had_happened() {
    let mut up = Up::start();
    let mut undisturbed = Vec::new();
    // The first round is not disturbed.
    for round in 0.. {
        let (mut outcomes, mut kills) = (Vec::new(), 0);
        let mut end = |up: &mut Up, begun: &Accepted| {
            let from = Instant::now();
            let killed_after = up.follow(&begun.operation.id, Some(round));
            let outcome = up.outcome(begun);
            let mut line = format!("{:7} {round:>2}", begun.operation.kind);
            if let Some(event) = killed_after {
                kills += 1;
                let _ = write!(line, "  killed after {event}");
            }
            say(&format!("{line}: {} in {} ms", outcome.operation, from.elapsed().as_millis()));
            outcomes.push(outcome);
        };
        let created = up.create(&format!("instance-{round}"));
        end(&mut up, &created);
        up.memcloud(&["add", "I moved to Lisbon in May", "--instance", &created.instance.name]);
        let upgraded = up.upgrade(&created.instance);
        end(&mut up, &upgraded);
        assert!(up.machine.processes().contains(&up.pid(&created.instance.id)));
        let found = up.memcloud(&["search", "Lisbon", "--instance", &created.instance.name]);
        assert_eq!(found.matches("I moved to Lisbon in May").count(), 1, "{found}");
        let removed = up.delete(&created.instance);
        end(&mut up, &removed);
        if round == 0 {
            let states: Vec<_> = outcomes.iter().map(|outcome| outcome.state.as_deref()).collect();
            assert_eq!(states, [Some("running"), Some("running"), None]);
            assert_eq!((outcomes[2].processes, outcomes[2].folders, outcomes[2].ports), (1, 1, 1));
            undisturbed = outcomes;
        } else {
            assert_eq!(outcomes, undisturbed, "killed after event {round}");
            if kills == 0 {
                break;
            }
        }
    }
}

#[test]
fn killed_instances_come_back_verified_also_under_the_next_console() {
    let mut up = Up::start();
    let created = up.create("one");
    up.follow(&created.operation.id, None);
    let id = created.instance.id;
    up.memcloud(&["add", "I moved to Lisbon in May", "--instance", "one"]);
    for console in ["that started it", "that adopted it"] {
        let (killed, checked) = (up.pid(&id), up.memory_checked(&id));
        let query = OperationsQuery { instance: Some(id.clone()), limit: Some(1), cursor: None };
        let newest = || up.block_on(up.api.operations(&query)).operations.remove(0);
        let before = newest();
        let from = Instant::now();
        kill("KILL", killed);
        eventually("the death is seen", || newest().id != before.id);
        let (seen, recovers) = (from.elapsed(), newest());
        up.follow(&recovers.id, None);
        let back = from.elapsed();
        say(&format!(
            "killed under the console {console}: seen after {} ms, verified after {} ms",
            seen.as_millis(),
            back.as_millis()
        ));
        assert_eq!(recovers.kind, "recover");
        assert!(up.memory_checked(&id) > checked, "it is verified again");
        let process = up.pid(&id);
        assert_ne!(process, killed);
        assert!(up.memcloud(&["search", "Lisbon", "--instance", "one"]).contains("I moved to Lisbon in May"));
        up.kill_and_start();
        ready(&mut up.process);
        assert_eq!(up.pid(&id), process, "it is adopted");
        assert_eq!(up.machine.processes().len(), 2, "nothing is started twice");
        up.memory_checked(&id);
    }
}
