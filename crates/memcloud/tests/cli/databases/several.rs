//! Several servers on the same databases are one memory, whichever of them lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use memcloud_test_servers::{Database, Postgres, SharedPostgres};
use serde_json::json;
use tokio::sync::Mutex;

use super::harness::{Client, Settings, serve, serve_with_model, until};
use crate::answers::http;
use crate::home::{Home, Server};

fn shared() -> (Database, Settings) {
    let database = SharedPostgres::from_environment().create_database();
    let settings = Settings::default().shared_postgres(&database).shared_neo4j();
    (database, settings)
}

/// What one stores, all find at the very next search; what one deletes, none finds any more.
async fn agree(clients: &[Client]) {
    for round in 0..6 {
        let writer = &clients[round % clients.len()];
        let content = format!("thought{round} of server {}", round % clients.len());
        let id = writer.store("several", &content).await.ok()["id"].as_str().unwrap().to_owned();
        for reader in clients {
            assert_eq!(reader.found("several", &content).await[0], content);
        }
        if round % 2 == 0 {
            clients[(round + 1) % clients.len()].delete("several", &id).await.ok();
            for reader in clients {
                assert!(!reader.found("several", &content).await.contains(&content));
            }
        }
    }
    let listed = clients[0].listed("several").await;
    assert_eq!(listed.len(), 3);
    for reader in clients {
        assert_eq!(reader.listed("several").await, listed);
    }
}

#[tokio::test]
async fn two_servers_agree_at_once() {
    let (home, (_database, settings)) = (Home::new(), shared());
    let servers = [serve(&home, &settings), serve(&home, &settings)];
    agree(&servers.each_ref().map(Client::of)).await;
}

#[tokio::test]
async fn two_servers_on_postgres_alone_agree_at_once() {
    let (home, database) = (Home::new(), SharedPostgres::from_environment().create_database());
    let settings = Settings::default().shared_postgres(&database);
    let servers = [serve(&home, &settings), serve(&home, &settings)];
    agree(&servers.each_ref().map(Client::of)).await;
}

/// A vector that one server works out later is used by another at its next search.
#[tokio::test]
async fn an_update_is_seen_through_every_handle() {
    let (home, (_database, settings)) = (Home::new(), shared());
    let knowing = serve_with_model(&home, &settings);
    let reader = Client::of(&knowing);
    let wordy = serve(&home, &settings);
    Client::of(&wordy).store("updates", "I adopted a puppy").await.ok();
    Client::of(&wordy).store("updates", "The train was late again").await.ok();
    let question = "Which pets live in the house?";
    let meaning = |hits: &serde_json::Value| hits[0]["content"].as_str().map(str::to_owned);
    // The one who searches has the rows without vectors by now.
    reader.search("updates", question).await.ok();
    let mut embedding = serve_with_model(&home, &settings);
    embedding.log_line("embedded all messages");
    let hits = reader.search("updates", question).await.ok();
    assert_eq!(meaning(&hits).as_deref(), Some("I adopted a puppy"), "{hits}");
}

/// Five servers on a database that allows 25 connections; eight clients store through all of them, and one after the
/// other is killed. What was answered is there, once; what was not is sent again to another server; and nothing half is
/// left in either database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_five_servers_of_which_four_are_killed() {
    const CLIENTS: usize = 8;
    const STORES: usize = 60;
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let settings = Settings::default().postgres(&postgres, &database).shared_neo4j();
    let home = Home::new();
    let mut servers: Vec<Server> = (0..5).map(|_| serve(&home, &settings)).collect();
    let clients: Vec<Client> = servers.iter().map(Client::of).collect();
    agree(&clients).await;
    let (answered, alive) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(5)));
    let ids = Arc::new(Mutex::new(HashMap::new()));
    let work: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (clients, answered, alive, ids) =
                (clients.clone(), answered.clone(), alive.clone(), ids.clone());
            tokio::spawn(async move {
                for n in 0..STORES {
                    let content = format!("word{number}x{n} was said by client {number}");
                    let id = loop {
                        // The last servers live; a client without an answer asks the next one.
                        let living = alive.load(Ordering::SeqCst);
                        let client = &clients[5 - living + (n + number) % living];
                        match client.try_store("killed", &content).await {
                            Some(answer) if answer.status == 200 => break answer.body["id"].clone(),
                            Some(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                            None => {}
                        }
                    };
                    ids.lock()
                        .await
                        .insert(content, id.as_str().unwrap().trim_start_matches("episode-").to_owned());
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for kill in 1..5 {
        let enough = kill * CLIENTS * STORES / 6;
        until("enough stores", || answered.load(Ordering::SeqCst) >= enough).await;
        // Clients learn of it by getting no answer; the count only tells them where to ask next.
        servers[kill - 1].signal("KILL");
        servers[kill - 1].ended();
        alive.store(5 - kill, Ordering::SeqCst);
    }
    for client in work {
        client.await.unwrap();
    }
    let left = postgres.execute(&database, "SELECT count(*) FROM memcloud.intents");
    println!("4 kills, {} stores; intents left behind: {}", CLIENTS * STORES, left.trim());
    let last = &clients[4];
    let ids = ids.lock().await;
    let mut contents: Vec<String> = ids.keys().cloned().collect();
    contents.sort();
    assert_eq!(last.listed("killed").await, contents, "each once");
    for (content, id) in ids.iter().step_by(16) {
        let body =
            json!({"session": {"group_id": "killed", "session_id": "s"}, "query": content, "limit": 1});
        let url = format!("{}/v1/memories/search?shape=list", last.url);
        let hits: serde_json::Value =
            http().post(url).json(&body).send().await.unwrap().json().await.unwrap();
        assert_eq!(hits[0]["uuid"].as_str(), Some(id.as_str()), "{content}");
    }
    // What killed servers had begun is withdrawn by the one that lives, and removed from the graph.
    until("no intent under way", || {
        postgres
            .execute(&database, "SELECT count(*) FROM memcloud.intents WHERE NOT withdrawn OR due <= now()")
            .trim()
            == "0"
    })
    .await;
    let recorded = postgres.execute(&database, "SELECT count(*) FROM memcloud.episodes");
    let name = postgres.execute(&database, "SELECT value FROM memcloud.meta WHERE name = 'memory'");
    assert_eq!(
        super::faults::turns_in_graph(name.trim()).await.to_string(),
        recorded.trim(),
        "no half is left"
    );
}
