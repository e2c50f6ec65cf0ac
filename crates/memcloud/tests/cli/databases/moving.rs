//! A memory moves from the embedded engine to databases and back, with all that it has.

use std::path::Path;

use memcloud_domain::{
    Category, CategoryOrigin, Clock, Episode, EpisodeId, FactSet, FactTarget, Metadata, Purpose, Space,
    SystemClock,
};
use memcloud_memory::Analysis;
use memcloud_ports::{
    Batch, CategoryStore, EmbeddedFact, EpisodeStore, FactStore, LearningQueue, NewFact, Prepared, Queued,
    Revision, RevisionSet,
};
use memcloud_store_sqlite::SqliteStore;
use memcloud_test_servers::SharedPostgres;
use serde_json::{Value, json};

use super::harness::{Client, Settings, serve, serve_with_model};
use crate::answers::http;
use crate::home::{Home, Ran, Server, finish};

const QUESTIONS: [&str; 4] =
    ["Which pets live in the house?", "What does Ann do on Mondays?", "When did it rain?", "number seven"];

fn run(home: &Home, settings: &Settings, args: &[&str]) -> Ran {
    let mut command = home.memcloud();
    finish(settings.apply(&mut command).args(args))
}

/// A memory of two groups with vectors, a message for the profile only, and one that was deleted.
async fn fill(server: &Server) {
    let (client, http) = (Client::of(server), http());
    for n in 0..30 {
        let content = match n % 3 {
            0 => format!("I adopted puppy number {n}"),
            1 => format!("It rained on day {n}, and the train was late"),
            _ => format!("On Mondays I play the piano for {n} minutes"),
        };
        client.store(if n % 5 == 0 { "other" } else { "home" }, &content).await.ok();
    }
    for n in 0..3 {
        let long = format!("Long story {n}: {}", "and then we sailed on ".repeat(40_000));
        client.store("other", &long).await.ok();
    }
    let gone = client.store("home", "This must not come along").await.ok();
    client.delete("home", gone["id"].as_str().unwrap()).await.ok();
    let session = json!({"group_id": "home", "session_id": "p", "user_id": ["ann"], "agent_id": ["bot"]});
    let body = json!({"session": session, "producer": "ann", "episode_content": "I like plums", "metadata": {"a": [1, {"b": "é"}]}});
    let profile = format!("{}/v1/memories/profile", server.url);
    assert_eq!(http.post(profile).json(&body).send().await.unwrap().status(), 200);
}

/// Puts a turn that is kept for its conversation only, and facts of now and then, into this directory, and answers all that
/// is learned there.
async fn teach(directory: &Path) -> Learned {
    let store = SqliteStore::open(directory, std::sync::Arc::new(SystemClock)).await.unwrap();
    let space = Space::new("universal", "home");
    let first = store.page(&space, None, None, 1).await.unwrap().remove(0);
    let turn = Episode {
        id: EpisodeId::new(SystemClock.now(), 0),
        content: "Hello, how can I help?".into(),
        purpose: Purpose::Transcript,
        ..first.clone()
    };
    let analysis = Analysis::of(&turn).encode();
    let episodes = vec![Prepared { episode: turn, vector: None, analysis, fact_targets: vec![] }];
    let batch = Batch { space: space.clone(), sessions: vec![], episodes, idempotency: None, intent: None };
    store.append(batch).await.unwrap();
    let fact = |value: &str| NewFact {
        tag: "Pets".into(),
        name: "dog".into(),
        value: value.into(),
        metadata: Metadata::new(),
        citations: vec![first.id],
        valid_from: first.created_at,
        vector: Some([0.6, 0.8].map(half::f16::from_f32).to_vec()),
    };
    let learn = async |revisions| {
        let target = FactTarget { set: FactSet::about(&space, "ann"), category: "profile".into() };
        let (prompt, model) = ("profile/1".into(), "a/model".into());
        let set = RevisionSet { target, revisions, at: SystemClock.now(), prompt, model };
        assert_eq!(store.revise(&set).await.unwrap(), 1);
    };
    learn(vec![Revision::Add(fact("Rex"))]).await;
    let old = store.all_facts(None, 1).await.unwrap()[0].fact.id;
    learn(vec![Revision::Replace { old, new: fact("Bello") }]).await;
    let set = FactSet::about(&space, "ann");
    let work = Category {
        id: "01970000-0000-7000-8000-000000000007".parse().unwrap(),
        origin: CategoryOrigin::Set(set.clone()),
        name: "work".into(),
        description: String::new(),
        prompt: "Keep where she works.".into(),
        version: 3,
        tags: vec![],
    };
    assert!(store.put_category(&work).await.unwrap());
    assert!(store.enable_category(&FactTarget { set, category: "work".into() }, false).await.unwrap());
    learned(&store).await
}

/// Facts, what waits to be learned from, categories, and those that sets have disabled.
type Learned = (Vec<EmbeddedFact>, Vec<Queued>, Vec<Category>, Vec<FactTarget>);

async fn learned(store: &SqliteStore) -> Learned {
    let (facts, queued) = (store.all_facts(None, 100).await.unwrap(), store.queue(None, 100).await.unwrap());
    (facts, queued, store.categories(None).await.unwrap(), store.disabled_categories().await.unwrap())
}

/// What people see of a memory: hits with their scores, listings, sessions.
async fn seen(server: &Server) -> Vec<Value> {
    let client = Client::of(server);
    let mut seen = Vec::new();
    for group in ["home", "other"] {
        for question in QUESTIONS {
            seen.push(client.search(group, question).await.ok());
        }
        seen.push(client.get(&format!("/v1/memories?group_id={group}&limit=100")).await.ok());
    }
    seen.push(client.get("/v1/sessions").await.ok());
    seen
}

fn checked(ran: Ran, memories: u64, facts: u64) -> Value {
    let report = ran.ok().json();
    let counts = ["memories", "vectors", "facts", "queued", "groups"].map(|name| report[name].as_u64());
    assert_eq!(counts, [memories, 33, facts, 1, 2].map(Some), "{report}");
    report
}

#[tokio::test]
async fn there_and_back_again() {
    let home = Home::new();
    let mut embedded = serve_with_model(&home, &Settings::default());
    fill(&embedded).await;
    embedded.signal("TERM");
    embedded.ended();
    let taught = teach(&home.data()).await;
    assert_eq!((taught.0.len(), taught.1.len()), (2, 1), "{taught:?}");
    let mut embedded = serve_with_model(&home, &Settings::default());
    let before = seen(&embedded).await;
    let from = home.data().display().to_string();
    let database = SharedPostgres::from_environment().create_database();
    let settings = Settings::default().shared_postgres(&database).shared_neo4j();
    let held = run(&home, &settings, &["import", "--from", &from]).failed(1);
    assert!(held.stderr.contains("another process"), "{held:?}");
    embedded.signal("TERM");
    embedded.ended();

    let there = checked(run(&home, &settings, &["import", "--json", "--from", &from]), 35, 2);
    assert_eq!(there["written"], 35);
    let again = checked(run(&home, &settings, &["import", "--json", "--from", &from]), 35, 2);
    assert_eq!(again["written"], 0, "a second time there is nothing to do");
    assert_eq!(again["checksum"], there["checksum"]);
    let elsewhere = Home::new();
    let graph = serve_with_model(&elsewhere, &settings);
    assert_eq!(seen(&graph).await, before, "hits, scores, order, metadata and sessions");
    // A copy of it in the same Neo4j, with the same ids, is a memory of its own.
    let third = Home::new();
    let another = SharedPostgres::from_environment().create_database();
    let staging = Settings::default().shared_postgres(&another).shared_neo4j();
    checked(run(&third, &staging, &["import", "--json", "--from", &from]), 35, 2);
    let copy = serve_with_model(&third, &staging);
    assert_eq!(seen(&copy).await, before);
    for session in ["s", "p"] {
        run(
            &third,
            &staging,
            &["forget", "--session", session, "--group", "home", "--yes", "--url", &copy.url],
        )
        .ok();
    }
    drop(copy);
    assert_eq!(seen(&graph).await, before, "what is deleted in one is there in the other");
    Client::of(&graph).store("home", "Stored after the move").await.ok();
    let after = seen(&graph).await;

    let copy = home.path("copy");
    let report = run(&home, &settings, &["export", "--json", "--to", copy.to_str().unwrap()]).ok().json();
    assert_eq!((report["memories"].as_u64(), report["written"].as_u64()), (Some(36), Some(36)));
    assert_eq!(
        learned(&SqliteStore::open(&copy, std::sync::Arc::new(SystemClock)).await.unwrap()).await,
        taught
    );
    drop(graph);
    let back =
        serve_with_model(&home, &Settings::default().with("MEMCLOUD_DATA_DIR", copy.display().to_string()));
    assert_eq!(seen(&back).await, after);
}

/// What an instance answers about its spaces and keys to a caller with this key. The uses of a key are not its own.
fn kept(home: &Home, server: &Server, key: &str) -> [Value; 2] {
    ["spaces", "keys"].map(|noun| {
        let listed = home.run(&[noun, "list", "--json", "--key", key, "--url", &server.url]).ok().json();
        let mut listed = listed[noun].clone();
        for one in listed.as_array_mut().unwrap() {
            one.as_object_mut().unwrap().remove("last_used_at");
        }
        listed
    })
}

#[tokio::test]
async fn keys_and_spaces_move_as_they_are() {
    let home = Home::new();
    let mut embedded = home.serve();
    let at = |args: &[&str], server: &Server| home.run(&[args, &["--url", &server.url]].concat()).ok();
    for group in ["home", "work"] {
        at(&["add", "hello", "--group", group], &embedded);
    }
    at(&["spaces", "configure", "work", "--description", "the team", "--learns", "false"], &embedded);
    let all = ["--right", "read", "--right", "write", "--right", "admin"];
    let key = at(&[&["keys", "create", "root"], &all[..]].concat(), &embedded).stdout;
    let key = key.trim();
    let made =
        ["keys", "create", "app", "--right", "read", "--space", "work", "--expires", "30d", "--key", key];
    let app = at(&[&made[..], &["--json"]].concat(), &embedded).json();
    let before = kept(&home, &embedded, key);
    embedded.signal("TERM");
    embedded.ended();

    let database = SharedPostgres::from_environment().create_database();
    let settings = Settings::default().shared_postgres(&database).shared_neo4j();
    let from = home.data().display().to_string();
    let report = run(&home, &settings, &["import", "--json", "--from", &from]).ok().json();
    assert_eq!((report["keys"].as_u64(), report["groups"].as_u64()), (Some(2), Some(2)), "{report}");
    let graph = serve(&home, &settings);
    assert_eq!(kept(&home, &graph, key), before);
    home.run(&["list", "--group", "home", "--url", &graph.url]).failed(5);
    at(&["list", "--group", "work", "--key", app["key"].as_str().unwrap()], &graph);
    at(&["keys", "revoke", app["id"].as_str().unwrap(), "--key", key], &graph);
    drop(graph);

    let again = run(&home, &settings, &["import", "--json", "--from", &from]).ok().json();
    assert_eq!(again["checksum"], report["checksum"]);
    let copy = home.path("copy").display().to_string();
    run(&home, &settings, &["export", "--to", &copy]).ok();
    let back = serve(&home, &Settings::default().with("MEMCLOUD_DATA_DIR", copy));
    let after = kept(&home, &back, key);
    assert_eq!(after[0], before[0]);
    assert_eq!((&after[1][1]["state"], &after[1][1]["spaces"]), (&json!("revoked"), &json!(["work"])));
}

#[tokio::test]
async fn from_postgres_alone_to_a_graph() {
    let home = Home::new();
    let (one, two) = {
        let server = SharedPostgres::from_environment();
        (server.create_database(), server.create_database())
    };
    let postgres = serve_with_model(&home, &Settings::default().shared_postgres(&one));
    fill(&postgres).await;
    let before = seen(&postgres).await;
    let copy = home.path("copy");
    let alone = Settings::default().shared_postgres(&one);
    checked(run(&home, &alone, &["export", "--json", "--to", copy.to_str().unwrap()]), 34, 0);
    let settings = Settings::default().shared_postgres(&two).shared_neo4j();
    let first = run(&home, &settings, &["import", "--from", copy.to_str().unwrap()]).ok();
    assert!(first.stdout.contains("agree on both sides"), "{first:?}");
    let graph = serve_with_model(&home, &settings);
    assert_eq!(seen(&graph).await, before);
}

/// A database that keeps everything is not taken for the records of a graph.
#[tokio::test]
async fn episodes_kept_elsewhere_are_reported() {
    let (home, database) = (Home::new(), SharedPostgres::from_environment().create_database());
    let alone = Settings::default().shared_postgres(&database);
    let server = serve_with_model(&home, &alone);
    Client::of(&server).store("home", "hello").await.ok();
    drop(server);
    let graph = serve_with_model(&home, &alone.shared_neo4j());
    let client = Client::of(&graph);
    assert_eq!(client.broken().await[0], ("postgres".into(), "episodes_elsewhere".into()));
    let refused = client.store("home", "hello again").await;
    assert_eq!(refused.unavailable(), "episodes_elsewhere");
    assert!(refused.body["hint"].as_str().unwrap().contains("export"), "{refused:?}");
}
