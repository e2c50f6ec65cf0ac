//! The reconciler over instances that die, flap and lie, with the store on SQLite.
#![expect(clippy::disallowed_methods, reason = "a test serves its own instances")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use memcloud_client::Client;
use memcloud_control::instances::Settings;
use memcloud_control::operations::{Event, EventKind, OnFailure, Step};
use memcloud_control::reconcile::{Operations, Reconciler};
use memcloud_control::targets::{Draft, Leftover, LogPart, LogPosition, Observed, Targets};
use memcloud_control::{
    Caller, ControlStore, Error, Instance, InstanceChange, InstanceId, InstanceStore, Operation, OperationId,
    OperationKind, OperationState, OperationStore, OrganizationId, Plan, Reason, Seal, SecretStore, Secrets,
    State, Target, Topology, Wanted,
};
use memcloud_control_store::SqliteControlStore;
use memcloud_domain::{Clock, Timestamp};
use memcloud_tasks::Tasks;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::scripted::TARGET;

/// How an instance answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Ready,
    NotReady,
    Nothing,
}

/// An instance, and everything that the reconciler sees of it.
struct World {
    store: Arc<SqliteControlStore>,
    now: AtomicI64,
    is_alive: AtomicBool,
    answers: Mutex<Answers>,
    /// How many attempts fail.
    fails: AtomicU32,
    is_busy: AtomicBool,
    /// What is done when the process is observed.
    on_observation: Mutex<Option<InstanceChange>>,
    /// Each operation that was begun, with the state of the instance before.
    begun: Mutex<Vec<(OperationKind, State)>>,
    revoked: Mutex<Vec<String>>,
    url: String,
}

impl World {
    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    fn begun(&self) -> Vec<(OperationKind, State)> {
        std::mem::take(&mut *self.begun.lock().unwrap())
    }

    fn answer(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst)).unwrap()
    }
}

/// The same world, as a target and as the control plane.
struct In(Arc<World>);

#[async_trait]
impl Target for In {
    async fn plan(&self, _: OperationKind, _: &Instance, _: &Value) -> Draft {
        Plan { steps: vec![], on_failure: OnFailure::Keep }.into()
    }

    fn step(&self, _: &str) -> Option<Arc<dyn Step>> {
        None
    }

    async fn observe(&self, instance: &Instance) -> Observed {
        let change = self.0.on_observation.lock().unwrap().take();
        if let Some(change) = change {
            self.0.store.change_instance(&instance.id, &change, self.0.now()).await.unwrap();
        }
        if self.0.is_alive.load(Ordering::SeqCst) { Observed::Alive } else { Observed::Gone }
    }

    async fn leftovers(&self, _: &[Instance]) -> Vec<Leftover> {
        vec![]
    }

    async fn log(&self, _: &Instance, _: LogPosition) -> Result<LogPart, Reason> {
        Ok(LogPart { text: String::new(), next: 0 })
    }
}

#[async_trait]
impl Operations for In {
    async fn begin(&self, id: &InstanceId, kind: OperationKind) -> Result<(), Error> {
        let world = &*self.0;
        if world.is_busy.load(Ordering::SeqCst) {
            return Err(Error::Busy(OperationId::random()));
        }
        let before = world.store.instance(id).await?.state;
        world.begun.lock().unwrap().push((kind, before));
        let left = world.fails.load(Ordering::SeqCst);
        world.fails.store(left.saturating_sub(1), Ordering::SeqCst);
        let state = if left == 0 {
            world.is_alive.store(kind == OperationKind::Recover, Ordering::SeqCst);
            (kind.state_after(), None)
        } else {
            (
                kind.state_after_failure(OnFailure::Keep),
                Some(Reason::new("the port is taken", "free the port")),
            )
        };
        let change = InstanceChange { state: Some(state), ..InstanceChange::default() };
        world.store.change_instance(id, &change, world.now()).await
    }

    async fn client(&self, _: &Instance) -> Result<Client, Error> {
        Ok(Client::new(&self.0.url, None)?)
    }
}

async fn ready(Shared(world): Shared<Arc<World>>) -> Response {
    let answers = *world.answers.lock().unwrap();
    match answers {
        Answers::Ready => r#"{"status": "ready", "parts": []}"#.into_response(),
        Answers::NotReady => {
            let body = r#"{"detail": "PostgreSQL is down", "code": "down", "hint": "start PostgreSQL"}"#;
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
        Answers::Nothing => std::future::pending().await,
    }
}

async fn revoke(Shared(world): Shared<Arc<World>>, Path(key): Path<String>) -> StatusCode {
    world.revoked.lock().unwrap().push(key);
    StatusCode::NOT_FOUND
}

/// One instance that runs, and its reconciler.
struct Watched {
    world: Arc<World>,
    reconciler: Reconciler,
    id: InstanceId,
    operation: Operation,
    database: PathBuf,
    _dir: TempDir,
}

impl Watched {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = TempDir::new().unwrap();
        let database = dir.path().join("console.db");
        let store = Arc::new(SqliteControlStore::open(&database).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = Arc::new(World {
            store: Arc::clone(&store),
            now: AtomicI64::new(1_790_000_000_000_000),
            is_alive: AtomicBool::new(true),
            answers: Mutex::new(Answers::Ready),
            fails: AtomicU32::new(0),
            is_busy: AtomicBool::new(false),
            on_observation: Mutex::new(None),
            begun: Mutex::default(),
            revoked: Mutex::default(),
            url: format!("http://{}", listener.local_addr().unwrap()),
        });
        let routes = Router::new()
            .route("/health/ready", get(ready))
            .route("/v1/keys/{key}", delete(revoke))
            .with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let reconciler = Reconciler::new(
            store,
            Targets::new(Arc::new(In(Arc::clone(&world)))),
            Arc::new(In(Arc::clone(&world))),
            Arc::clone(&world) as Arc<dyn Clock>,
        );
        let operation = keep(&world).await;
        let watched =
            Self { world, reconciler, id: operation.instance.clone(), operation, database, _dir: dir };
        watched.end_operation().await;
        watched
    }

    /// The creation ends, and the instance runs.
    async fn end_operation(&self) {
        let world = &self.world;
        let event = Event {
            number: 0,
            at: world.now(),
            kind: EventKind::Operation,
            step: None,
            state: "succeeded".into(),
            message: "done".into(),
        };
        let change = InstanceChange { state: Some((State::Running, None)), ..InstanceChange::default() };
        let succeeded = OperationState::Succeeded;
        let id = &self.operation.id;
        world.store.journal_operation(id, succeeded, None, &event, &change).await.unwrap();
    }

    async fn compare(&mut self) {
        self.reconciler.compare().await.unwrap();
    }

    async fn state(&self) -> (State, Option<Reason>) {
        let instance = self.world.store.instance(&self.id).await.unwrap();
        (instance.state, instance.reason)
    }

    async fn change(&self, change: InstanceChange) {
        self.world.store.change_instance(&self.id, &change, self.world.now()).await.unwrap();
    }

    /// Does something to the database of the control plane behind its back.
    fn sabotage(&self, sql: &str) {
        let connection = rusqlite::Connection::open(&self.database).unwrap();
        connection.busy_timeout(Duration::from_mins(1)).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

/// Keeps an instance with its creation, which has not ended.
async fn keep(world: &World) -> Operation {
    let instance = Instance {
        id: InstanceId::random(),
        organization: OrganizationId::random(),
        name: "memory".parse().unwrap(),
        target: TARGET,
        topology: Topology::Embedded,
        wanted: Wanted::Running,
        state: State::Queued,
        reason: None,
        url: Some(world.url.clone()),
        version: None,
        has_llm: false,
        placement: Value::Null,
        created_at: world.now(),
        changed_at: world.now(),
    };
    let port: Arc<dyn ControlStore> = world.store.clone();
    let secrets = Secrets::new(port, Seal::from_text(&Seal::make_key()).unwrap());
    let sealed = secrets.seal(&instance.id, &Settings::default()).unwrap();
    let plan = Plan { steps: vec![], on_failure: OnFailure::Keep };
    let operation = Operation::new(&instance, OperationKind::Create, plan, "ann".into(), world.now());
    let entry = Caller::system(instance.organization.clone()).entry(world.now(), "create instance", "memory");
    world.store.create_instance(&instance, &sealed, &operation, &entry).await.unwrap();
    operation
}

#[tokio::test]
async fn an_instance_that_died_is_marked_and_recovered_in_one_comparison() {
    let mut watched = Watched::start().await;
    watched.compare().await;
    assert_eq!(watched.world.begun(), [], "it runs, as it should");
    watched.world.is_alive.store(false, Ordering::SeqCst);
    watched.compare().await;
    assert_eq!(watched.world.begun(), [(OperationKind::Recover, State::Crashed)]);
    assert_eq!(watched.state().await, (State::Running, None));
}

#[tokio::test]
async fn attempts_that_fail_grow_rarer_until_one_succeeds() {
    let mut watched = Watched::start().await;
    watched.world.is_alive.store(false, Ordering::SeqCst);
    watched.world.fails.store(7, Ordering::SeqCst);
    let mut begun = Vec::new();
    for second in 0..200 {
        watched.compare().await;
        let (state, reason) = watched.state().await;
        if !watched.world.begun().is_empty() {
            begun.push(second);
        }
        if (15..135).contains(&second) {
            assert_eq!(state, State::Degraded, "{second}");
            let reason = reason.unwrap();
            assert!(reason.message.contains("the port is taken"), "{reason:?}");
            assert_eq!(reason.hint, "free the port");
        }
        watched.world.pass(1);
    }
    assert_eq!(begun, [0, 1, 3, 7, 15, 75, 135, 195], "the eighth succeeds");
    assert_eq!(watched.state().await, (State::Running, None));
    watched.world.pass(60);
    watched.compare().await;
    watched.world.is_alive.store(false, Ordering::SeqCst);
    watched.compare().await;
    assert_eq!(watched.world.begun().len(), 1, "after a minute of running the next one is at once");
}

#[tokio::test]
async fn an_instance_that_is_not_ready_is_degraded_until_it_is() {
    let mut watched = Watched::start().await;
    watched.world.answer(Answers::NotReady);
    for _ in 0..3 {
        watched.compare().await;
        let reason = Reason::new("PostgreSQL is down", "start PostgreSQL");
        assert_eq!(watched.state().await, (State::Degraded, Some(reason)));
    }
    assert_eq!(watched.world.begun(), [], "a restart would not start PostgreSQL");
    watched.world.answer(Answers::Ready);
    watched.compare().await;
    assert_eq!(watched.world.begun(), [(OperationKind::Recover, State::Degraded)]);
    assert_eq!(watched.state().await, (State::Running, None));
}

#[tokio::test]
async fn an_instance_that_does_not_answer_is_degraded_after_a_while() {
    let mut watched = Watched::start().await;
    watched.world.answer(Answers::Nothing);
    for _ in 0..4 {
        watched.compare().await;
        assert_eq!(watched.state().await.0, State::Running, "it may just be busy");
    }
    watched.compare().await;
    let (state, reason) = watched.state().await;
    assert_eq!(state, State::Degraded);
    assert_eq!(reason.unwrap().message, "its process runs, and does not answer");
}

#[tokio::test]
async fn nothing_is_begun_for_an_instance_with_an_operation() {
    let mut watched = Watched::start().await;
    watched.world.is_alive.store(false, Ordering::SeqCst);
    watched.world.is_busy.store(true, Ordering::SeqCst);
    watched.compare().await;
    assert_eq!(watched.world.begun(), [], "another caller was first");
    let other = keep(&watched.world).await;
    watched.world.is_busy.store(false, Ordering::SeqCst);
    watched.world.pass(1);
    watched.compare().await;
    assert_eq!(watched.world.begun().len(), 1, "the one without an operation");
    assert_eq!(watched.world.store.instance(&other.instance).await.unwrap().state, State::Queued);
}

#[tokio::test]
async fn what_should_not_run_is_stopped_or_removed() {
    for (wanted, state, kind) in [
        (Wanted::Stopped, State::Stopped, OperationKind::Stop),
        (Wanted::Removed, State::Removing, OperationKind::Delete),
    ] {
        let mut watched = Watched::start().await;
        let change =
            InstanceChange { wanted: Some(wanted), state: Some((state, None)), ..InstanceChange::default() };
        watched.change(change).await;
        watched.compare().await;
        assert_eq!(watched.world.begun(), [(kind, state)]);
        watched.world.pass(600);
        watched.compare().await;
        assert_eq!(watched.world.begun(), [], "it is gone");
    }
}

#[tokio::test]
async fn what_was_stopped_while_it_was_observed_has_not_crashed() {
    let mut watched = Watched::start().await;
    watched.world.is_alive.store(false, Ordering::SeqCst);
    watched.world.pass(1);
    *watched.world.on_observation.lock().unwrap() = Some(InstanceChange {
        wanted: Some(Wanted::Stopped),
        state: Some((State::Stopped, None)),
        ..InstanceChange::default()
    });
    watched.compare().await;
    assert_eq!((watched.state().await, watched.world.begun()), ((State::Stopped, None), vec![]));
}

#[tokio::test]
async fn keys_are_revoked_when_their_moment_has_come_and_their_instance_runs() {
    let mut watched = Watched::start().await;
    let world = Arc::clone(&watched.world);
    let later = Timestamp::from_micros(world.now().as_micros() + 10_000_000).unwrap();
    let organization = world.store.instance(&watched.id).await.unwrap().organization;
    let entry = Caller::system(organization).entry(world.now(), "revoke key", "memory/old");
    world.store.revoke_later(&watched.id, "old", later, &entry).await.unwrap();
    watched.compare().await;
    assert!(world.revoked.lock().unwrap().is_empty(), "its moment has not come");
    world.pass(11);
    let stopped = (State::Stopped, Wanted::Stopped);
    let change = |(state, wanted)| InstanceChange {
        wanted: Some(wanted),
        state: Some((state, None)),
        ..InstanceChange::default()
    };
    world.is_alive.store(false, Ordering::SeqCst);
    watched.change(change(stopped)).await;
    watched.compare().await;
    assert_eq!(world.store.due_revocations(world.now()).await.unwrap().len(), 1, "it waits for its instance");
    world.is_alive.store(true, Ordering::SeqCst);
    watched.change(change((State::Running, Wanted::Running))).await;
    watched.compare().await;
    assert_eq!(*world.revoked.lock().unwrap(), ["old"]);
    assert!(world.store.due_revocations(world.now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_store_that_fails_stops_the_reconciler_only_for_a_while() {
    let mut watched = Watched::start().await;
    watched.sabotage("ALTER TABLE operations RENAME TO hidden");
    watched.world.is_alive.store(false, Ordering::SeqCst);
    watched.reconciler.compare().await.unwrap_err();
    let Watched { world, reconciler, id, database, _dir, .. } = watched;
    let (tasks, poke) = (Tasks::new(), Arc::new(Notify::new()));
    tasks.spawn("reconciler", |stop| reconciler.run(Arc::clone(&poke), stop));
    poke.notify_one();
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch("ALTER TABLE hidden RENAME TO operations")
        .unwrap();
    poke.notify_one();
    let recovered = async {
        while world.store.instance(&id).await.unwrap().state != State::Running || world.begun().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), recovered).await.unwrap();
    assert_eq!(tasks.drain(Duration::from_mins(1)).await, 0, "it stops when it is asked to");
}
