//! Verifications while the world breaks: what is not proven is not called running, and comes back by itself.

use std::net::SocketAddr;

use jiff::Timestamp;
use memcloud_api::console::{Connection, Llm, NewInstance, Operation, Reason};
use memcloud_fake_llm::{FakeLlm, Options};
use memcloud_test_servers::{Neo4j, Postgres};
use tokio::runtime::Runtime;

use crate::console::{eventually, kill};
use crate::up::{Up, checked, embedded, on, say};

impl Up {
    /// Begins a verification, and returns once it runs.
    fn verifying(&self, id: &str) -> Operation {
        let begun = self.block_on(self.api.verify(id)).operation;
        let runs = self.event(&begun, |event| event.step.as_deref() == Some("verify"));
        assert_eq!(runs.unwrap().state, "running");
        begun
    }

    fn kill_instance(&self, id: &str) {
        self.maybe_pid(id).into_iter().for_each(|pid| kill("KILL", pid));
    }

    /// Why an operation failed; `None` if it succeeded.
    fn failure(&self, operation: &Operation) -> Option<Reason> {
        let ended = self.ended(operation);
        assert_eq!(ended.state == "failed", ended.reason.is_some(), "{ended:?}");
        say(&format!("{} {}: {:?}", ended.kind, ended.state, ended.reason));
        ended.reason
    }

    /// Verifies an instance until one verification fails through this fault: it may happen when all was proven already.
    /// Returns the moment before the fault, and why the verification failed.
    fn fails_while(&self, id: &str, mut fault: impl FnMut(&Operation)) -> (Timestamp, Reason) {
        loop {
            let begun = self.verifying(id);
            let before = Timestamp::now();
            fault(&begun);
            if let Some(reason) = self.failure(&begun) {
                return (before, reason);
            }
            self.comes_back(id, Timestamp::UNIX_EPOCH);
        }
    }
}

#[test]
fn an_instance_that_is_killed_while_it_is_verified_is_not_called_running_until_it_is_proven_again() {
    let up = Up::start();
    let id = up.create(&embedded("one")).id;
    up.memcloud(&["add", "I moved to Lisbon in May", "--instance", "one"]);
    let (_, reason) = up.fails_while(&id, |_| up.kill_instance(&id));
    assert!(reason.message.contains("process ended") && reason.hint.contains("log"), "{reason:?}");
    up.comes_back(&id, Timestamp::UNIX_EPOCH);
    // The process that the verification itself has started.
    let (killed, reason) = up.fails_while(&id, |verifies| {
        let first = up.maybe_pid(&id);
        let is_second = || up.maybe_pid(&id).is_some_and(|pid| Some(pid) != first);
        eventually("it restarts", || is_second() || up.operation(&verifies.id).ended_at.is_some());
        up.kill_instance(&id);
    });
    assert_eq!(reason.message, "its process ended while it was verified");
    up.comes_back(&id, killed);
    assert_eq!(up.machine.processes().len(), 2, "nothing is started twice");
    assert!(up.memcloud(&["search", "Lisbon", "--instance", "one"]).contains("I moved to Lisbon in May"));
}

#[test]
fn a_verification_that_is_cancelled_proves_nothing_and_forgets_nothing() {
    let up = Up::start();
    let id = up.create(&embedded("one")).id;
    // It may have proven everything already.
    let cancelled = std::iter::from_fn(|| {
        let begun = up.verifying(&id);
        up.block_on(up.api.cancel(&begun.id));
        let ended = up.ended(&begun);
        say(&format!("{} {}", ended.kind, ended.state));
        Some(ended)
    });
    let cancelled = cancelled.take(100).find(|ended| ended.state == "cancelled").unwrap();
    let step = &cancelled.steps[0];
    assert_eq!((step.state.as_str(), &step.outputs), ("failed", &None), "{cancelled:?}");
    let instance = up.instance(&id).unwrap();
    let states: Vec<_> = instance.capabilities.iter().map(|seen| (&*seen.name, &*seen.state)).collect();
    assert_eq!(
        states[..2],
        [("memory_working", "yes"), ("persistence", "yes")],
        "the earlier evidence stays"
    );
    up.comes_back(&id, Timestamp::UNIX_EPOCH);
    let created = std::iter::repeat_with(|| {
        let begun = up.begin_create(&embedded("two")).operation;
        up.event(&begun, |event| event.step.as_deref() == Some("verify"));
        up.block_on(up.api.cancel(&begun.id));
        let ended = up.ended(&begun);
        if ended.state == "succeeded" {
            let made = up.instance(&ended.instance).unwrap();
            assert_eq!(made.capabilities[0].state, "yes", "only what passed is running: {made:?}");
            up.ended(&up.delete(&made).operation);
        }
        ended
    });
    let cancelled = created.take(100).find(|ended| ended.state == "cancelled").unwrap();
    let undone = up.instance(&cancelled.instance).unwrap();
    assert_eq!((undone.state.as_str(), &undone.url), ("failed", &None), "{undone:?}");
    assert_eq!(up.machine.processes().len(), 2, "what was made is undone");
}

#[test]
fn an_instance_that_dies_with_its_console_before_it_is_ready_is_made_all_the_same() {
    let mut up = Up::start();
    let begun = up.begin_create(&embedded("one"));
    let id = begun.instance.id;
    up.event(&begun.operation, |event| event.step.as_deref() == Some("ready"));
    up.kill();
    up.kill_instance(&id);
    up.start_again();
    let ended = up.ended(&begun.operation);
    assert_eq!(ended.state, "succeeded", "{ended:?}");
    assert_eq!(up.machine.processes().len(), 2);
}

/// What a database server does.
enum Server {
    Dies,
    Starts,
}

#[test]
fn fault_databases_that_restart_while_an_instance_is_verified() {
    let (up, mut postgres, mut neo4j) = (Up::start(), Postgres::start(), Neo4j::start());
    let database = postgres.create_database();
    let graph = Connection {
        connection_string: neo4j.uri("bolt"),
        username: Some(neo4j.user().into()),
        password: Some(neo4j.password().into()),
    };
    let id = up.create(&on("one", graph, postgres.url(&database))).id;
    up.memcloud(&["add", "I moved to Lisbon in May", "--instance", "one"]);
    restarts(&up, &id, "PostgreSQL", |server| match server {
        Server::Dies => postgres.kill(),
        Server::Starts => postgres.start_again(),
    });
    restarts(&up, &id, "Neo4j", |server| match server {
        Server::Dies => neo4j.kill(),
        Server::Starts => neo4j.start_again(),
    });
}

fn restarts(up: &Up, id: &str, name: &str, mut server: impl FnMut(Server)) {
    // It is away until the instance has said so.
    let died = loop {
        let begun = up.verifying(id);
        let died = Timestamp::now();
        server(Server::Dies);
        if let Some(reason) = up.failure(&begun) {
            assert!(reason.message.contains(name), "{reason:?}");
            break died;
        }
        // All was proven before.
        server(Server::Starts);
        up.comes_back(id, Timestamp::UNIX_EPOCH);
    };
    eventually("the instance names the database", || {
        let instance = up.instance(id).unwrap();
        instance.state != "running" && instance.reason.is_some_and(|reason| reason.message.contains(name))
    });
    server(Server::Starts);
    up.comes_back(id, died);
    // It is back at once.
    let begun = up.verifying(id);
    let died = Timestamp::now();
    server(Server::Dies);
    server(Server::Starts);
    if up.failure(&begun).is_some() {
        up.comes_back(id, died);
    }
    let found = up.memcloud(&["search", "Lisbon", "--instance", "one"]);
    assert_eq!(found.matches("I moved to Lisbon in May").count(), 1, "{found}");
}

/// A stand-in for a language model at this address, and what it runs on.
fn model(listen: SocketAddr) -> (Runtime, FakeLlm) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let model = runtime.block_on(async { FakeLlm::start(Options { listen, ..Options::default() }).unwrap() });
    (runtime, model)
}

#[test]
fn what_needs_a_language_model_is_proven_with_one_and_not_without() {
    let up = Up::start();
    // No instance comes so far.
    let address = SocketAddr::from(([127, 0, 0, 1], *up.machine.ports().end()));
    let (runtime, answers) = model(address);
    let llm = Llm { base_url: Some(answers.url()), api_key: None, model: "stand-in".into() };
    let instance = up.create(&NewInstance { llm: Some(llm), ..embedded("one") });
    for capability in ["memory_working", "persistence", "profile", "chat_enabled"] {
        checked(&instance, capability);
    }
    runtime.shutdown_background();
    drop(answers);
    let id = instance.id;
    let (stopped, reason) = up.fails_while(&id, |_| {});
    assert!(reason.message.starts_with("profile: ") || reason.message.starts_with("chat: "), "{reason:?}");
    let instance = up.instance(&id).unwrap();
    assert_ne!(instance.state, "running");
    for capability in ["memory_working", "persistence"] {
        assert!(checked(&instance, capability) > stopped, "a model is not needed for {capability}");
    }
    for capability in ["profile", "chat_enabled"] {
        let seen = instance.capabilities.iter().find(|seen| seen.name == capability).unwrap();
        let reason = seen.reason.as_ref().unwrap();
        assert_eq!(seen.state, "no", "{seen:?}");
        assert!(!reason.message.is_empty() && reason.hint.contains("model"), "{reason:?}");
        say(&format!("{capability}: {}; {}", reason.message, reason.hint));
    }
    let (_runtime, _model) = model(address);
    up.comes_back(&id, stopped);
    checked(&up.instance(&id).unwrap(), "chat_enabled");
}
