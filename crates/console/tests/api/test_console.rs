//! A whole console in a directory of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use memcloud_console::{App, Parts, Settings, openapi_json, router};
use memcloud_control::access::{Accounts, Password, Role, User};
use memcloud_control::targets::Targets;
use memcloud_control::{
    Actor, Caller, Control, ControlStore, OrganizationId, Seal, Secrets, UserId, UserStore,
};
use memcloud_control_store::SqliteControlStore;
use memcloud_domain::{Clock, Rights, SystemClock, Timestamp};
use memcloud_http::Peer;
use memcloud_tasks::Tasks;
use memcloud_test_document::{Answer as Answered, Document};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::scripted::Scripted;

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new(&openapi_json()));

/// Long enough for any machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Where requests of tests come from.
const PEER: &str = "127.0.0.1:50000";

/// The machine's clock, which a test puts forward or stops.
#[derive(Default)]
pub(crate) struct TestClock {
    /// In microseconds.
    ahead: AtomicI64,
    stopped_at: OnceLock<Timestamp>,
}

impl TestClock {
    pub(crate) fn forward(&self, by: Duration) {
        self.ahead.fetch_add(by.as_micros() as i64, Ordering::Relaxed);
    }

    /// From now on only [`Self::forward`] moves it.
    pub(crate) fn stop(&self) {
        self.stopped_at.get_or_init(|| SystemClock.now());
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let machine = self.stopped_at.get().copied().unwrap_or_else(|| SystemClock.now());
        Timestamp::from_micros(machine.as_micros() + self.ahead.load(Ordering::Relaxed)).unwrap()
    }
}

pub(crate) struct Console {
    pub(crate) router: Router,
    pub(crate) accounts: Accounts,
    pub(crate) store: Arc<SqliteControlStore>,
    pub(crate) secrets: Secrets,
    pub(crate) target: Arc<Scripted>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) owner: User,
    pub(crate) directory: TempDir,
}

/// An answer, held against the document.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The body of an answer that must be a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text);
        self.json()
    }

    /// The code of an answer that must be a well-formed error with this status.
    #[track_caller]
    pub(crate) fn code(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        let body = self.json();
        assert!(!body["hint"].as_str().unwrap().is_empty(), "{body}");
        for problem in body["detail"].as_array().into_iter().flatten() {
            assert_eq!(problem["input"], Value::Null, "no answer repeats what was sent: {body}");
        }
        body["code"].as_str().unwrap().to_owned()
    }
}

impl Console {
    /// One on this machine, with its first owner.
    pub(crate) async fn open() -> Self {
        Self::at("http://127.0.0.1:8090", true).await
    }

    pub(crate) async fn at(url: &str, is_local: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteControlStore::open(&directory.path().join("console.db")).unwrap());
        let port: Arc<dyn ControlStore> = store.clone();
        let (target, clock, tasks) =
            (Arc::new(Scripted::default()), Arc::new(TestClock::default()), Arc::new(Tasks::new()));
        let secrets = Secrets::new(Arc::clone(&port), Seal::from_text(&Seal::make_key()).unwrap());
        let targets = Targets::new(target.clone());
        let control =
            Control::new(Arc::clone(&port), secrets.clone(), targets, clock.clone(), Arc::clone(&tasks));
        let accounts = Accounts::new(port, clock.clone());
        let owner = accounts.first_owner().await.unwrap();
        let stop = CancellationToken::new();
        let app = App::new(Parts {
            control: Arc::new(control),
            accounts: accounts.clone(),
            clock: clock.clone(),
            url: url.parse().unwrap(),
            is_local,
            stop: stop.clone(),
            settings: Settings::default(),
        });
        Self { router: router(app), accounts, store, secrets, target, clock, stop, tasks, owner, directory }
    }

    /// A caller who acts for the owner.
    pub(crate) fn caller(&self) -> Caller {
        let actor = Actor::User { user: self.owner.id.clone(), name: self.owner.name.clone(), token: None };
        Caller { organization: self.owner.organization.clone(), actor, from: None }
    }

    /// A token of the owner that permits everything.
    pub(crate) async fn owner_token(&self) -> String {
        self.token_of(&self.owner.id, Rights::ALL, None).await
    }

    pub(crate) async fn token_of(&self, user: &UserId, scopes: Rights, end: Option<Timestamp>) -> String {
        let made = self.accounts.create_token(&self.caller(), user, "test", scopes, end).await;
        made.unwrap().0.expose_secret().to_owned()
    }

    /// A new user of the owner's organization.
    pub(crate) async fn user(&self, name: &str, role: Role, password: Option<&str>) -> User {
        let password = password.map(|password| Password::hash(password).unwrap());
        self.accounts.create_user(&self.caller(), name, role, password.as_ref()).await.unwrap()
    }

    /// A token with all scopes of a new user with this role.
    pub(crate) async fn token_as(&self, role: Role) -> String {
        let user = self.user(&format!("the {role}"), role, None).await;
        self.token_of(&user.id, Rights::ALL, None).await
    }

    /// A token of the owner of another organization.
    pub(crate) async fn foreign_token(&self) -> String {
        let organization = OrganizationId::random();
        let user = User {
            id: UserId::random(),
            name: "foreign owner".into(),
            organization: organization.clone(),
            role: Role::Owner,
            created_at: self.clock.now(),
        };
        let entry = Caller::system(organization).entry(self.clock.now(), "create user", "foreign owner");
        self.store.create_user(&user, None, &entry).await.unwrap();
        self.token_of(&user.id, Rights::ALL, None).await
    }

    /// Sends a request. The answer must be one that the document describes.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let (parts, body) = self.begun(method, path, headers, body).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let answer = Answer { status: parts.status, headers: parts.headers, text };
        let content_type = answer.headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap());
        let status = answer.status.as_u16();
        DOCUMENT.check(Answered { method, path, status, content_type, text: &answer.text });
        answer
    }

    /// Sends a request, and returns when its answer has begun.
    pub(crate) async fn begun(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> axum::response::Response {
        let peer: SocketAddr = PEER.parse().unwrap();
        let mut request = Request::builder().method(method).uri(path).extension(Peer(peer));
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header(header::HOST, "127.0.0.1:8090");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn call(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &[("authorization", &format!("Bearer {token}"))], &body).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.call(token, "GET", path, &Value::Null).await
    }

    /// Begins to make an instance. Returns its id and the id of its operation.
    pub(crate) async fn create(&self, token: &str, name: &str) -> (String, String) {
        let accepted = self.call(token, "POST", "/api/instances", &json!({"name": name})).await;
        assert_eq!(accepted.status, 202, "{}", accepted.text);
        let accepted = accepted.json();
        let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
        (id(&accepted["instance"]), id(&accepted["operation"]))
    }

    /// Waits until an operation has ended, and returns it.
    pub(crate) async fn ended(&self, token: &str, operation: &str) -> Value {
        let path = format!("/api/operations/{operation}/events");
        let events = self.get(token, &path);
        tokio::time::timeout(PATIENCE, events).await.expect("the operation ends");
        let operation = self.get(token, &format!("/api/operations/{operation}")).await.ok();
        assert!(operation["ended_at"].is_string(), "{operation}");
        operation
    }

    /// An instance that was made.
    pub(crate) async fn made(&self, token: &str, name: &str) -> String {
        let (instance, operation) = self.create(token, name).await;
        assert_eq!(self.ended(token, &operation).await["state"], "succeeded");
        instance
    }

    /// What the audit log has: who, what, to what, from where.
    pub(crate) async fn audit(&self) -> Vec<(String, String, String, Option<IpAddr>)> {
        let token = self.owner_token().await;
        let audit = self.get(&token, "/api/audit?limit=1000").await.ok();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let entries = audit["entries"].as_array().unwrap().iter();
        let from = |value: &Value| value.as_str().map(|address| address.parse().unwrap());
        entries
            .map(|entry| {
                (text(&entry["actor"]), text(&entry["action"]), text(&entry["subject"]), from(&entry["from"]))
            })
            .collect()
    }
}

/// The parts of an answer that goes on, as texts.
pub(crate) struct Stream(axum::body::Body);

impl Stream {
    pub(crate) fn of(response: axum::response::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Self(response.into_body())
    }

    /// The next part; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let frame = tokio::time::timeout(PATIENCE, self.0.frame()).await.expect("the stream goes on or ends");
        let bytes = frame?.unwrap().into_data().unwrap();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Everything until a part that has this text, with it.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            all += &self.next().await.unwrap_or_else(|| panic!("no '{text}' in: {all}"));
        }
        all
    }
}
