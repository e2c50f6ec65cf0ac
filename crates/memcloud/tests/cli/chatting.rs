//! Chats and learning through the real binary, with a stand-in for a language model.

use std::time::{Duration, Instant};

use memcloud_fake_llm::{FakeLlm, Options};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::answers::{http, http_client};
use crate::home::{Home, PATIENCE, Server};

/// A stand-in for a language model, on threads of its own: tests block while they wait for processes.
pub(crate) struct Model {
    _server: FakeLlm,
    url: String,
    runtime: Option<Runtime>,
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Model {
    pub(crate) fn start() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let entered = runtime.enter();
        let model = FakeLlm::start(Options::default()).unwrap();
        drop(entered);
        Self { url: model.url(), _server: model, runtime: Some(runtime) }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn control(&self, what: &str) -> String {
        format!("{}/dev/{what}", self.url.trim_end_matches("/v1"))
    }

    pub(crate) async fn calls(&self) -> Value {
        http_client().build().unwrap().get(self.control("calls")).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn fails(&self, faults: Value) {
        let set =
            http_client().build().unwrap().put(self.control("faults")).json(&faults).send().await.unwrap();
        assert!(set.status().is_success(), "{}", set.text().await.unwrap());
    }

    pub(crate) async fn works(&self) {
        http_client().build().unwrap().delete(self.control("faults")).send().await.unwrap();
    }
}

/// A server that chats with this model and learns after one message.
fn serve(home: &Home, model: &Model, more: &[(&str, &str)]) -> Server {
    let mut command = home.memcloud();
    command
        .args(["serve", "--offline", "--listen", "127.0.0.1:0"])
        .env("OPENAI_BASE_URL", model.url())
        .env("MEMCLOUD_CHAT_MODEL", "fake-llm")
        .env("MEMCLOUD_PROFILE_MESSAGES", "1");
    Server::start(command.envs(more.iter().copied()))
}

async fn get(server: &Server, path: &str) -> Value {
    http().get(format!("{}{path}", server.url)).send().await.unwrap().json().await.unwrap()
}

/// Asks until the answer is as it should be.
pub(crate) async fn until(server: &Server, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = get(server, path).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "{path}: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The values of the facts.
fn values(facts: &Value) -> Vec<String> {
    let facts = facts["facts"].as_array().into_iter().flatten();
    facts.map(|fact| fact["value"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_chat_remembers_across_runs_and_restarts() {
    let home = Home::new();
    let model = Model::start();
    let mut server = serve(&home, &model, &[]);
    let said =
        home.run(&["chat", "I moved to Lisbon because of the light.", "--user", "ann", "--url", &server.url]);
    assert_eq!(said.ok().stdout, "I do not know.\n");
    until(&server, "/v1/memories/profile", |facts| !values(facts).is_empty()).await;
    server.signal("TERM");
    assert!(server.ended().success());
    let server = serve(&home, &model, &[]);
    let question = "Why did I move to Lisbon?";
    let answer = home.run(&[
        "chat",
        question,
        "--explain",
        "--user",
        "ann",
        "--session",
        "next-day",
        "--url",
        &server.url,
    ]);
    let shown = answer.ok().stdout;
    assert!(shown.ends_with("I moved to Lisbon because of the light.\n"), "{shown}");
    assert!(shown.contains("fact    city: Lisbon"), "{shown}");
    assert!(shown.contains("ann: I moved to Lisbon because of the light."), "{shown}");
    let answer = home.run(&["chat", question, "--json", "--user", "ann", "--url", &server.url]).ok().json();
    assert_eq!(answer["content"], "I moved to Lisbon because of the light.");
    assert!(answer["memories"][0]["uid"].is_string() && answer["user_message"].is_string(), "{answer}");
}

#[tokio::test]
async fn lines_of_stdin_are_one_conversation() {
    let home = Home::new();
    let model = Model::start();
    let server = serve(&home, &model, &[]);
    let lines = "The spare keys hang behind the green door.\n\nWhere are the spare keys?\n";
    let ran = home.run_with(&["chat", "--user", "ann", "--url", &server.url], lines).ok();
    assert_eq!(ran.stdout, "I do not know.\nThe spare keys hang behind the green door.\n");
    assert_eq!(ran.stderr, "");
    let last = model.calls().await["asked"]
        .as_array()
        .unwrap()
        .iter()
        .rfind(|c| c["kind"] == "answer")
        .unwrap()
        .clone();
    let roles: Vec<&Value> =
        last["body"]["messages"].as_array().unwrap().iter().map(|m| &m["role"]).collect();
    assert_eq!(
        roles,
        ["user", "assistant", "user"],
        "messages of the conversation itself are not recalled again"
    );
}

#[tokio::test]
async fn every_error_has_a_hint() {
    let home = Home::new();
    let without = home.serve();
    let failed = home.run(&["chat", "hello", "--url", &without.url]).failed(1);
    assert!(failed.stderr.contains("OPENAI_BASE_URL"), "{failed:?}");
    let model = Model::start();
    model.fails(json!({"faults": ["status=401"]})).await;
    let server = serve(&home, &model, &[("MEMCLOUD_DATA_DIR", home.path("other").to_str().unwrap())]);
    let failed = home.run(&["chat", "hello", "--url", &server.url]).failed(1);
    assert!(
        failed.stderr.contains("OPENAI_API_KEY") && failed.stderr.contains("what you said is stored"),
        "{failed:?}"
    );
    let answer = home.run(&["list", "--json", "--url", &server.url]).ok();
    assert!(answer.stdout.contains("hello"), "{answer:?}");
}

#[test]
fn settings_that_cannot_work_are_refused_at_the_start() {
    let home = Home::new();
    let serve = |settings: &[(&str, &str)]| {
        let mut command = home.memcloud();
        command.args(["serve", "--offline", "--listen", "127.0.0.1:0"]).envs(settings.iter().copied());
        crate::home::finish(&mut command)
    };
    for (settings, named) in [
        (&[("OPENAI_BASE_URL", "ftp://x"), ("MEMCLOUD_CHAT_MODEL", "m")][..], "OPENAI_BASE_URL"),
        (&[("OPENAI_BASE_URL", "http://u:p@host/v1"), ("MEMCLOUD_CHAT_MODEL", "m")], "OPENAI_BASE_URL"),
        (&[("OPENAI_API_KEY", "k"), ("MEMCLOUD_PROFILE_MESSAGES", "0")], "MEMCLOUD_PROFILE_MESSAGES"),
        (&[("OPENAI_API_KEY", "k"), ("MEMCLOUD_PROFILE", "maybe")], "MEMCLOUD_PROFILE"),
        (&[("OPENAI_API_KEY", "k"), ("MEMCLOUD_MODEL_CALLS_PER_DAY", "-1")], "MEMCLOUD_MODEL_CALLS_PER_DAY"),
        (&[("MEMCLOUD_EMBEDDING_URL", "http://127.0.0.1:1/v1")], "MEMCLOUD_EMBEDDING_MODEL"),
    ] {
        let failed = serve(settings).failed(2);
        assert!(failed.stderr.contains(named) && !failed.stderr.contains("u:p"), "{failed:?}");
    }
    let unreachable =
        [("MEMCLOUD_EMBEDDING_URL", "http://127.0.0.1:1/v1"), ("MEMCLOUD_EMBEDDING_MODEL", "m")];
    assert!(serve(&unreachable).failed(1).stderr.contains("does not embed"));
}

/// The process is killed while the model works on an extraction. Afterwards the same call is made again under the same
/// name, so that the endpoint charges once, and what it answers is kept once.
#[tokio::test]
async fn nothing_is_charged_twice_after_a_kill() {
    let home = Home::new();
    let model = Model::start();
    let mut server = serve(&home, &model, &[("MEMCLOUD_MODEL_CALLS_PER_DAY", "5")]);
    model.fails(json!({"faults": ["slow=1500ms"], "only": "extract"})).await;
    home.run(&["add", "I live in Oslo.", "--user", "ann", "--url", &server.url]).ok();
    // The call has begun when its use has been counted.
    until(&server, "/v1/usage", |usage| usage["day"]["calls"] == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal("KILL");
    server.ended();
    let server = serve(&home, &model, &[("MEMCLOUD_MODEL_CALLS_PER_DAY", "5")]);
    let facts = until(&server, "/v1/memories/profile", |facts| !values(facts).is_empty()).await;
    assert_eq!(values(&facts), ["Oslo"]);
    let calls = model.calls().await;
    let asked = calls["asked"].as_array().unwrap();
    let keys: Vec<&Value> = asked.iter().map(|call| &call["idempotency_key"]).collect();
    assert!(keys.iter().all(|key| key.is_string() && *key == keys[0]), "{keys:?}");
    assert!(calls["charged"].as_u64().unwrap() <= 1, "{calls}");
    // What was learned from is not learned from again, and the account goes on where it was.
    let usage = get(&server, "/v1/usage").await;
    assert_eq!(usage["day"]["calls"], 2, "{usage}");
    let mut server = server;
    server.signal("KILL");
    server.ended();
    let server = serve(&home, &model, &[("MEMCLOUD_MODEL_CALLS_PER_DAY", "2")]);
    let queue = get(&server, "/v1/memories/profile/queue").await;
    assert_eq!((&queue["waiting"], &queue["parked"]), (&json!(0), &json!(0)));
    let refused = home.run(&["chat", "hello", "--url", &server.url]).failed(1);
    assert!(refused.stderr.contains("this day"), "the limit holds after a restart: {refused:?}");
    assert_eq!(model.calls().await["calls"], calls["calls"]);
}

/// A server that gets a stop signal puts back what it was learning from: no attempt is lost, no call forgotten, none made twice.
#[tokio::test]
async fn interrupted_attempts_are_charged_but_park_no_message() {
    let home = Home::new();
    let model = Model::start();
    model.fails(json!({"faults": ["slow=300s"], "only": "extract"})).await;
    let mut id = String::new();
    for round in 0..6 {
        let mut server = serve(&home, &model, &[("MEMCLOUD_MODEL_CALLS_PER_DAY", "7")]);
        if round == 0 {
            id = home.run(&["add", "I live in Oslo.", "--user", "ann", "--url", &server.url]).ok().stdout;
        }
        until(&server, "/v1/usage", |usage| usage["day"]["calls"] == round + 1).await;
        // Sooner than the model answers.
        server.signal("TERM");
        assert!(server.ended().success());
    }
    model.works().await;
    let server = serve(&home, &model, &[("MEMCLOUD_MODEL_CALLS_PER_DAY", "7")]);
    let facts = until(&server, "/v1/memories/profile", |facts| !values(facts).is_empty()).await;
    assert_eq!(facts["facts"][0]["metadata"]["citations"][0], id.trim().trim_start_matches("episode-"));
    let usage = get(&server, "/v1/usage").await;
    assert_eq!(usage["day"]["calls"], 7, "every call that was made is counted: {usage}");
    let calls = model.calls().await;
    let keys: Vec<&Value> =
        calls["asked"].as_array().unwrap().iter().map(|call| &call["idempotency_key"]).collect();
    assert!(keys.iter().all(|key| key.is_string() && *key == keys[0]), "{keys:?}");
    assert_eq!(calls["charged"], 1, "{calls}");
}

/// Every answered chat survives a kill: both sides are there.
#[tokio::test]
async fn an_answered_chat_survives_a_kill() {
    let home = Home::new();
    let model = Model::start();
    for round in 0..3 {
        let mut server = serve(&home, &model, &[]);
        let said = format!("Word{round} is the word of round {round}.");
        let answer = home.run(&["chat", &said, "--json", "--user", "ann", "--url", &server.url]).ok().json();
        server.signal("KILL");
        server.ended();
        let server = serve(&home, &model, &[]);
        for side in ["user_message", "assistant_message"] {
            let id = answer[side].as_str().unwrap();
            assert!(get(&server, &format!("/v1/memories/{id}")).await["content"].is_string(), "{side}");
        }
    }
}

#[tokio::test]
async fn the_doctor_lists_what_could_not_be_learned_from() {
    let home = Home::new();
    let model = Model::start();
    // A queue as a server leaves it that has tried five times: the pauses between them take minutes.
    let mut server = serve(&home, &model, &[("MEMCLOUD_PROFILE_MESSAGES", "9")]);
    let id = home.run(&["add", "I live in Oslo.", "--user", "ann", "--url", &server.url]).ok().stdout;
    server.signal("TERM");
    server.ended();
    let database = home.data().join("memory.sqlite3");
    let sql = "UPDATE queue SET attempts = 5, parked = 'the language model answered no JSON'";
    assert_eq!(rusqlite::Connection::open(database).unwrap().execute(sql, []).unwrap(), 1);
    // Without a server the doctor looks itself.
    let report = home.run(&["doctor", "--offline"]).ok();
    assert!(report.stdout.contains(id.trim()) && report.stdout.contains("5 attempts"), "{report:?}");
    assert!(report.stdout.contains("--retry-parked"), "{report:?}");
    let server = serve(&home, &model, &[]);
    let doctor = |more: &[&str]| {
        let mut command = home.memcloud();
        command.args(["doctor", "--offline", "--url", &server.url]).args(more);
        command.env("OPENAI_BASE_URL", model.url()).env("MEMCLOUD_CHAT_MODEL", "fake-llm");
        crate::home::finish(&mut command).ok()
    };
    let report = doctor(&[]);
    assert!(report.stdout.contains("the language model answered no JSON"), "{report:?}");
    assert!(report.stdout.contains("ok     llm"), "{report:?}");
    let report = doctor(&["--retry-parked"]);
    assert!(report.stdout.contains("1 parked messages were queued again"), "{report:?}");
    until(&server, "/v1/memories/profile", |facts| values(facts) == ["Oslo"]).await;
    model.fails(json!({"faults": ["status=401"]})).await;
    let mut command = home.memcloud();
    command.args(["doctor", "--offline", "--url", &server.url]).env("OPENAI_BASE_URL", model.url());
    let report = crate::home::finish(command.env("MEMCLOUD_CHAT_MODEL", "fake-llm"));
    assert!(report.code == 1 && report.stdout.contains("failed llm"), "{report:?}");
    model.works().await;
}

#[tokio::test]
async fn embeddings_come_from_an_endpoint_and_are_not_mixed() {
    let home = Home::new();
    let model = Model::start();
    let remote = [("MEMCLOUD_EMBEDDING_URL", model.url()), ("MEMCLOUD_EMBEDDING_MODEL", "words")];
    let start = |settings: &[(&str, &str)]| {
        let mut command = home.memcloud();
        command.args(["serve", "--offline", "--listen", "127.0.0.1:0"]).envs(settings.iter().copied());
        command
    };
    let mut server = Server::start(&mut start(&remote));
    for text in ["I adopted a puppy", "The train was late again", "We painted the kitchen"] {
        home.run(&["add", text, "--user", "ann", "--url", &server.url]).ok();
    }
    let found = home.run(&["search", "late train", "--json", "--explain", "--url", &server.url]).ok().json();
    assert_eq!(found[0]["content"], "The train was late again");
    assert!(
        found[0]["explain"]["parts"]["meaning"].as_f64().or(found[0]["explain"]["meaning"].as_f64()).unwrap()
            > 0.0,
        "{found}"
    );
    server.signal("TERM");
    server.ended();
    let mut other = remote.to_vec();
    other.push(("MEMCLOUD_EMBEDDING_DIMENSIONS", "32"));
    let refused = crate::home::finish(&mut start(&other)).failed(1);
    assert!(
        refused.stderr.contains("remote/words/64") && refused.stderr.contains("remote/words/32"),
        "{refused:?}"
    );
}

/// With the length of its vectors known, a server starts without the endpoint, and says what is wrong until it is there.
#[tokio::test]
async fn a_server_starts_without_the_endpoint_that_embeds() {
    let home = Home::new();
    let nowhere = [
        ("MEMCLOUD_EMBEDDING_URL", "http://127.0.0.1:1/v1"),
        ("MEMCLOUD_EMBEDDING_MODEL", "words"),
        ("MEMCLOUD_EMBEDDING_DIMENSIONS", "64"),
    ];
    let mut command = home.memcloud();
    command.args(["serve", "--offline", "--listen", "127.0.0.1:0"]).envs(nowhere);
    let server = Server::start(&mut command);
    let body =
        json!({"session": null, "producer": "default", "produced_for": "", "episode_content": "hello"});
    let answer = http().post(format!("{}/v1/memories", server.url)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "embedding_unavailable");
    assert_eq!(get(&server, "/health/ready").await["part"], "embedder");
}

/// A chat that is running when the server gets a stop signal is stored as far as it was answered.
#[tokio::test]
async fn stopping_stores_the_beginning_of_a_running_answer() {
    let home = Home::new();
    let model = Model::start();
    let mut server = serve(&home, &model, &[("MEMCLOUD_PROFILE", "false")]);
    home.run(&["add", "The spare keys hang behind the green door.", "--user", "ann", "--url", &server.url])
        .ok();
    model.fails(json!({"faults": ["slow-words=1s"]})).await;
    let body =
        json!({"stream": true, "messages": [{"role": "user", "content": "Where are the spare keys?"}]});
    let mut answer = http().post(format!("{}/v1/chat", server.url)).json(&body).send().await.unwrap();
    let mut seen = String::new();
    while !seen.contains("event: delta") {
        seen.push_str(&String::from_utf8_lossy(&answer.chunk().await.unwrap().expect("it goes on")));
    }
    server.signal("TERM");
    while let Some(more) = answer.chunk().await.unwrap() {
        seen.push_str(&String::from_utf8_lossy(&more));
    }
    assert!(server.ended().success());
    assert!(seen.contains("event: error") && seen.contains("stopping"), "{seen}");
    let server = serve(&home, &model, &[]);
    let page = get(&server, "/v1/memories").await;
    let last = page["episodes"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["role"], &last["user_metadata"]["incomplete"]),
        (&json!("assistant"), &json!(true)),
        "{page}"
    );
}
