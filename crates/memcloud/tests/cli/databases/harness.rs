//! What an instance on databases needs: their settings, a client that looks at times, and what the databases hold.

use std::process::Command;
use std::time::{Duration, Instant};

use memcloud_test_servers::{Database, Neo4j, Postgres, Proxy, SharedNeo4j, SharedPostgres};
use reqwest_middleware::{ClientWithMiddleware, RequestBuilder};
use serde_json::{Value, json};

use crate::answers::{checked, http_client};
use crate::home::{Home, PATIENCE, Server};
use crate::with_model::model_dir;

/// No answer may take longer, whatever has happened to the databases.
pub(crate) const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// An instance works again this soon after its database is back.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(10);

/// The settings that name databases.
#[derive(Clone, Default)]
pub(crate) struct Settings(Vec<(&'static str, String)>);

impl Settings {
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, value.into()));
        self
    }

    /// A database of the PostgreSQL that all tests share.
    pub(crate) fn shared_postgres(self, database: &Database) -> Self {
        self.with("DATABASE_URL", database.url())
    }

    /// The Neo4j that all tests share.
    pub(crate) fn shared_neo4j(self) -> Self {
        let server = SharedNeo4j::from_environment();
        self.neo4j_at(server.uri())
            .with("NEO4J_USER", server.user())
            .with("NEO4J_PASSWORD", server.password())
    }

    pub(crate) fn neo4j_at(self, uri: impl Into<String>) -> Self {
        self.with("NEO4J_URI", uri)
    }

    /// A Neo4j of the test's own.
    pub(crate) fn neo4j(self, server: &Neo4j) -> Self {
        self.neo4j_at(server.uri("bolt"))
            .with("NEO4J_USER", server.user())
            .with("NEO4J_PASSWORD", server.password())
    }

    /// A database of a PostgreSQL of the test's own.
    pub(crate) fn postgres(self, server: &Postgres, database: &str) -> Self {
        self.with("DB_HOST", "127.0.0.1")
            .with("DB_PORT", server.port().to_string())
            .with("DB_USER", server.user())
            .with("DB_PASSWORD", server.password())
            .with("DB_NAME", database)
    }

    pub(crate) fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.0.iter().map(|(name, value)| (*name, value)))
    }
}

/// An instance without a model.
pub(crate) fn serve(home: &Home, settings: &Settings) -> Server {
    let mut command = home.memcloud();
    Server::start(settings.apply(&mut command).args(["serve", "--offline", "--listen", "127.0.0.1:0"]))
}

/// An instance with the model.
pub(crate) fn serve_with_model(home: &Home, settings: &Settings) -> Server {
    let mut command = home.memcloud();
    settings.apply(&mut command).args(["serve", "--offline", "--listen", "127.0.0.1:0", "--model-dir"]);
    Server::start(command.arg(model_dir()))
}

/// The shared databases behind proxies, and settings that point at them.
pub(crate) struct Behind {
    pub(crate) postgres: Proxy,
    pub(crate) neo4j: Proxy,
    pub(crate) settings: Settings,
    pub(crate) database: Database,
}

impl Behind {
    pub(crate) fn proxies() -> Self {
        let (shared, graph) = (SharedPostgres::from_environment(), SharedNeo4j::from_environment());
        let database = shared.create_database();
        let url = database.url();
        let (_, address) = url.split_once("://").unwrap();
        let (account, server) = address.rsplit_once('@').unwrap();
        let (server, name) = server.split_once('/').unwrap();
        let postgres = Proxy::start(server);
        let neo4j = Proxy::start(format!("{}:{}", graph.host(), graph.port()));
        let settings = Settings::default()
            .shared_neo4j()
            .neo4j_at(format!("bolt://127.0.0.1:{}", neo4j.port()))
            .with("DATABASE_URL", format!("postgres://{account}@127.0.0.1:{}/{name}", postgres.port()));
        Self { postgres, neo4j, settings, database }
    }
}

/// Held by tests that start a Neo4j of their own: two more at a time would measure this machine, and not the recovery.
pub(crate) static OWN_NEO4J: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// An answer, with the time it took.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: bool,
    pub(crate) body: Value,
    pub(crate) took: Duration,
}

impl Answer {
    /// The code of an answer that must say that the memory cannot serve now, and soon enough.
    #[track_caller]
    pub(crate) fn unavailable(&self) -> &str {
        assert_eq!(self.status, 503, "{self:?}");
        assert!(self.retry_after && self.took < ANSWERS_WITHIN, "{self:?}");
        assert!(!self.body["hint"].as_str().unwrap().is_empty(), "{self:?}");
        self.body["code"].as_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }
}

/// A client of one instance.
#[derive(Clone)]
pub(crate) struct Client {
    http: ClientWithMiddleware,
    pub(crate) url: String,
}

impl Client {
    pub(crate) fn of(server: &Server) -> Self {
        // A kept connection might be closed by the server just when a test that waited for a database uses it again.
        let http = checked(http_client().pool_max_idle_per_host(0).build().unwrap());
        Self { http, url: server.url.clone() }
    }

    async fn send(&self, request: RequestBuilder) -> Option<Answer> {
        let began = Instant::now();
        let response = request.timeout(PATIENCE).send().await.ok()?;
        let (status, retry_after) =
            (response.status().as_u16(), response.headers().contains_key("retry-after"));
        let body = response.json().await.ok()?;
        Some(Answer { status, retry_after, body, took: began.elapsed() })
    }

    /// Stores a message under a key of its own; `None` when nothing answers.
    pub(crate) async fn try_store(&self, group: &str, content: &str) -> Option<Answer> {
        let session = json!({"group_id": group, "session_id": "s", "user_id": ["ann"], "agent_id": []});
        let body = json!({"session": session, "producer": "ann", "episode_content": content});
        // A key has a limit of its own, and the first words of a message tell it from all others.
        let key: String = content.chars().take(80).collect();
        let request = self.http.post(format!("{}/v1/memories", self.url)).header("Idempotency-Key", key);
        self.send(request.json(&body)).await
    }

    pub(crate) async fn store(&self, group: &str, content: &str) -> Answer {
        self.try_store(group, content).await.expect("the instance answers")
    }

    pub(crate) async fn search(&self, group: &str, query: &str) -> Answer {
        let body = json!({"session": {"group_id": group, "session_id": "s"}, "query": query, "limit": 10});
        let request = self.http.post(format!("{}/v1/memories/search?shape=list", self.url)).json(&body);
        self.send(request).await.expect("the instance answers")
    }

    /// The contents that a search finds.
    pub(crate) async fn found(&self, group: &str, query: &str) -> Vec<String> {
        let hits = self.search(group, query).await.ok();
        hits.as_array().unwrap().iter().map(|hit| hit["content"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn delete(&self, group: &str, id: &str) -> Answer {
        let request = self.http.delete(format!("{}/v1/memories/{id}?group_id={group}", self.url));
        self.send(request).await.expect("the instance answers")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.url))).await.expect("the instance answers")
    }

    /// Everything in a group, by content.
    pub(crate) async fn listed(&self, group: &str) -> Vec<String> {
        let (mut contents, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/v1/memories?group_id={group}&limit=1000{cursor}")).await.ok();
            let episodes = page["episodes"].as_array().unwrap();
            contents.extend(episodes.iter().map(|e| e["content"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        contents.sort();
        contents
    }

    /// The parts that readiness calls broken, with their codes.
    pub(crate) async fn broken(&self) -> Vec<(String, String)> {
        let ready = self.get("/health/ready").await;
        assert!(ready.took < ANSWERS_WITHIN, "{ready:?}");
        let parts = ready.body["parts"].as_array().unwrap_or_else(|| panic!("{ready:?}"));
        let broken = parts.iter().filter(|part| part["works"] == false);
        broken.map(|p| (p["part"].as_str().unwrap().into(), p["code"].as_str().unwrap().into())).collect()
    }

    /// Waits until readiness calls exactly these parts broken.
    pub(crate) async fn until_broken(&self, wanted: &[(&str, &str)]) {
        let mut last = Vec::new();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            last = self.broken().await;
            if last.iter().map(|(part, code)| (part.as_str(), code.as_str())).eq(wanted.iter().copied()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("broken are {last:?}, not {wanted:?}");
    }

    /// Waits until stores and searches work again, and says how long that took.
    pub(crate) async fn until_back(&self, group: &str) -> Duration {
        let began = Instant::now();
        for n in 0.. {
            let content = format!("back again {n} after {:?}", began.elapsed());
            let stored = self.store(group, &content).await;
            if stored.status == 200 && self.search(group, &content).await.status == 200 {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "it does not come back: {stored:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        began.elapsed()
    }
}

/// Waits until a condition holds that databases come to by themselves.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}: it does not come to that");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
