//! A row that cannot be read, in each database: it costs itself, and is reported with what to do.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use memcloud_test_servers::{Postgres, SharedNeo4j, SharedPostgres};
use serde_json::Value;

use super::harness::{Client, Settings, serve};
use crate::home::{Home, Server, finish};

/// Stores three messages, and returns their ids.
async fn three(client: &Client) -> Vec<String> {
    let mut ids = Vec::new();
    for content in ["the first of three", "the second of three", "the third of three"] {
        ids.push(client.store("rows", content).await.ok()["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// The id as the databases have it.
fn uid(id: &str) -> &str {
    id.strip_prefix("episode-").unwrap()
}

/// What holds while only the first and the third message can be read.
async fn the_second_alone_is_lost(
    client: &Client,
    home: &Home,
    settings: &Settings,
    part: &str,
    ids: &[String],
) {
    let left = ["the first of three", "the third of three"];
    assert_eq!(client.listed("rows").await, left);
    // Pages of one, between which the row must not end the listing.
    let first = client.get("/v1/memories?group_id=rows&limit=1").await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = client.get(&format!("/v1/memories?group_id=rows&limit=1&cursor={cursor}")).await.ok();
    assert_eq!(second["episodes"][0]["content"], left[1]);
    let mut found = client.found("rows", "three").await;
    found.sort();
    assert_eq!(found, left);
    client.store("rows", "stored nevertheless").await.ok();
    client.until_broken(&[(part, "storage_damaged")]).await;
    let ready = client.get("/health/ready").await.body;
    assert!(ready["detail"].as_str().unwrap().contains(uid(&ids[1])), "{ready}");
    let mut command = home.memcloud();
    let doctor = finish(settings.apply(&mut command).args(["doctor", "--json", "--offline"]));
    let report = doctor.json();
    let found = report["parts"].as_array().unwrap().iter().find(|found| found["part"] == part).unwrap();
    assert_eq!((doctor.code, &found["state"]), (1, &Value::from("failed")), "{report}");
    let detail = found["detail"].as_str().unwrap();
    assert!(detail.contains(&ids[1]) && !detail.contains(&ids[0]), "{detail}");
    assert!(found["hint"].as_str().unwrap().contains("delete these memories"), "{found}");
}

/// Deleting the row is a way out.
async fn deleting_it_heals(client: &Client, id: &str) {
    client.delete("rows", id).await.ok();
    client.until_broken(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_postgres_that_cannot_be_read_costs_itself() {
    for damage in ["metadata = '[1]'", "purpose = 9", "ingested_at = 9223372036854775807"] {
        let database = SharedPostgres::from_environment().create_database();
        let (home, settings) = (Home::new(), Settings::default().shared_postgres(&database));
        let ids = three(&Client::of(&serve(&home, &settings))).await;
        database.execute(&format!("UPDATE memcloud.episodes SET {damage} WHERE uid = '{}'", uid(&ids[1])));
        let server = serve(&home, &settings);
        let client = Client::of(&server);
        the_second_alone_is_lost(&client, &home, &settings, "postgres", &ids).await;
        deleting_it_heals(&client, &ids[1]).await;
        reported_once(server, uid(&ids[1]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_of_neo4j_that_cannot_be_read_costs_itself() {
    for damage in ["e.metadata = '[1]'", "e.metadata = 'no JSON'", "e.content = 7", "e.metadata = null"] {
        let database = SharedPostgres::from_environment().create_database();
        let settings = Settings::default().shared_postgres(&database).shared_neo4j();
        let home = Home::new();
        let server = serve(&home, &settings);
        let client = Client::of(&server);
        client.until_back("warm").await;
        let ids = three(&client).await;
        let shared = SharedNeo4j::from_environment();
        let graph = neo4rs::Graph::new(shared.uri(), shared.user(), shared.password()).unwrap();
        let spoil = neo4rs::query(&format!("MATCH (e:Episode {{uid: $uid}}) SET {damage}"));
        graph.run(spoil.param("uid", uid(&ids[1]))).await.unwrap();
        the_second_alone_is_lost(&client, &home, &settings, "neo4j", &ids).await;
        deleting_it_heals(&client, &ids[1]).await;
        reported_once(server, uid(&ids[1]));
    }
}

/// Pages of PostgreSQL itself: of a table (XX001), and of an index (XX002).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_postgres_that_cannot_be_read_turns_it_red_until_it_is_repaired() {
    let mut postgres = Postgres::start();
    // The second page of an index is its root, and a page of zeros is one that was never written.
    for (relation, page, byte, words, repair) in [
        ("episodes", 0, 0xa5, "invalid page in block 0", "TRUNCATE memcloud.episodes CASCADE"),
        ("episodes_pkey", 1, 0, "unexpected zero page", "REINDEX TABLE memcloud.episodes"),
    ] {
        let database = postgres.create_database();
        let (home, settings) = (Home::new(), Settings::default().postgres(&postgres, &database));
        three(&Client::of(&serve(&home, &settings))).await;
        let path =
            postgres.execute(&database, &format!("SELECT pg_relation_filepath('memcloud.{relation}')"));
        postgres.stop();
        fill_page(&postgres.data_dir().join(path.trim()), page, byte);
        postgres.start_again();
        let server = serve(&home, &settings);
        let client = Client::of(&server);
        let refused = client.store("rows", "the fourth").await.body;
        let refused = if refused["code"].is_null() {
            client.get("/v1/memories?group_id=rows").await.body
        } else {
            refused
        };
        assert_eq!(refused["code"], "storage_damaged", "{refused}");
        assert!(refused["hint"].as_str().unwrap().contains("restore a backup"), "{refused}");
        client.until_broken(&[("postgres", "storage_damaged")]).await;
        let ready = client.get("/health/ready").await.body;
        assert!(ready["detail"].as_str().unwrap().contains(words), "{ready}");
        drop(server);
        postgres.execute(&database, repair);
        let server = serve(&home, &settings);
        let client = Client::of(&server);
        client.store("rows", "the fifth").await.ok();
        client.until_broken(&[]).await;
    }
}

/// Overwrites a page of a relation.
fn fill_page(relation: &Path, page: u64, byte: u8) {
    const PAGE: usize = 8_192;
    let mut file = File::options().write(true).open(relation).unwrap();
    file.seek(SeekFrom::Start(page * PAGE as u64)).unwrap();
    file.write_all(&[byte; PAGE]).unwrap();
}

/// However often it was met, the log has one line for the row.
fn reported_once(server: Server, row: &str) {
    let log = server.whole_log();
    let lines = log.lines().filter(|line| line.contains("a row cannot be read") && line.contains(row));
    assert_eq!(lines.count(), 1, "{log}");
}
