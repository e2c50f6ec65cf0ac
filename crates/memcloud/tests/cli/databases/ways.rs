//! Every kind of connection that a deployment may use.

use memcloud_test_servers::{Certificates, Postgres, SharedNeo4j, SharedPostgres, TlsEnd};
use serde_json::Value;

use super::harness::{Client, Settings, serve};
use crate::home::{Home, finish};

fn doctor(home: &Home, settings: &Settings) -> Value {
    let mut command = home.memcloud();
    finish(settings.apply(&mut command).args(["doctor", "--json", "--offline"])).json()
}

#[track_caller]
fn part<'a>(report: &'a Value, name: &str) -> &'a Value {
    let parts = report["parts"].as_array().unwrap();
    parts.iter().find(|part| part["part"] == name).unwrap_or_else(|| panic!("no {name}: {report}"))
}

/// Stores and finds over these settings, and has the doctor look at the part. Answers what it says.
async fn works(settings: &Settings, name: &str) -> String {
    let home = Home::new();
    let server = serve(&home, settings);
    let client = Client::of(&server);
    client.store("ways", "The key hangs in the hall").await.ok();
    assert_eq!(client.found("ways", "Where is the key?").await, ["The key hangs in the hall"]);
    let report = doctor(&home, settings);
    let part = part(&report, name);
    assert_eq!(part["state"], "ok", "{report}");
    part["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn neo4j_by_every_scheme() {
    let server = SharedNeo4j::from_environment();
    let authority = server.ca_file().map(|file| file.display().to_string());
    for (scheme, protection) in [
        ("bolt", "no TLS"),
        ("bolt+ssc", "any certificate"),
        ("bolt+s", "TLS, verified by"),
        ("neo4j", "no TLS"),
        ("neo4j+s", "TLS, verified by"),
        ("neo4j+ssc", "any certificate"),
    ] {
        let database = SharedPostgres::from_environment().create_database();
        let mut settings =
            Settings::default().shared_postgres(&database).shared_neo4j().neo4j_at(server.uri_with(scheme));
        if let Some(authority) = &authority {
            settings = settings.with("NEO4J_CA_FILE", authority.clone());
        }
        let detail = works(&settings, "neo4j").await;
        assert!(detail.contains(protection), "{scheme}: {detail}");
        for expected in ["Neo4j 5.", "community", " ms round trip", "indexes online", "may write"] {
            assert!(detail.contains(expected), "{expected}: {detail}");
        }
    }
}

#[tokio::test]
async fn neo4j_with_credentials_in_its_address() {
    let (server, database) =
        (SharedNeo4j::from_environment(), SharedPostgres::from_environment().create_database());
    let encoded = server.password().bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let uri = format!("bolt://{}:{encoded}@{}:{}", server.user(), server.host(), server.port());
    let settings = Settings::default().shared_postgres(&database).neo4j_at(uri).with("MEMCLOUD_LOG", "trace");
    let home = Home::new();
    let mut instance = serve(&home, &settings);
    Client::of(&instance).store("ways", "hello").await.ok();
    instance.signal("TERM");
    instance.log_line("stopped");
    let logged = &instance.logged;
    assert!(!logged.contains(server.password()) && !logged.contains(&encoded), "{logged}");
}

#[tokio::test]
async fn fault_postgres_on_a_socket_as_cloud_sql_has_it() {
    let server = Postgres::options().cloud_sql().start();
    let database = server.create_database();
    let folder = server.socket_dir();
    assert!(folder.ends_with("cloudsql/my-proj:us-central1:mem"), "{}", folder.display());
    let parts = Settings::default()
        .with("DB_HOST", folder.display().to_string())
        .with("DB_USER", server.user())
        .with("DB_PASSWORD", server.password())
        .with("DB_NAME", database.clone());
    let detail = works(&parts, "postgres").await;
    for expected in
        ["PostgreSQL 18", "pgvector 0.8", "a unix socket", "may change the schema", "of 25 connections"]
    {
        assert!(detail.contains(expected), "{expected}: {detail}");
    }
    // The same as one address, with the graph in addition.
    let both =
        Settings::default().with("DATABASE_URL", server.socket_url(&server.create_database())).shared_neo4j();
    works(&both, "postgres").await;
}

#[tokio::test]
async fn fault_postgres_over_tcp_with_a_hostile_password() {
    let server = Postgres::start();
    let settings = Settings::default().postgres(&server, &server.create_database());
    let home = Home::new();
    let mut instance = serve(&home, &settings.clone().with("MEMCLOUD_LOG", "trace"));
    Client::of(&instance).store("ways", "hello").await.ok();
    instance.signal("TERM");
    instance.log_line("stopped");
    assert!(!instance.logged.contains(server.password()), "{}", instance.logged);
    let settings = Settings::default().postgres(&server, &server.create_database());
    assert!(works(&settings, "postgres").await.contains("no TLS"));
    // A password in a file, and the whole in one address.
    let file = home.write("password", &format!("{}\n", server.password()));
    let from_file = Settings::default()
        .postgres(&server, &server.create_database())
        .with("DB_PASSWORD", "")
        .with("DB_PASSWORD_FILE", file.display().to_string());
    works(&from_file, "postgres").await;
    let url = Settings::default().with("DATABASE_URL", server.url(&server.create_database()));
    works(&url, "postgres").await;
}

#[tokio::test]
async fn fault_postgres_over_tls() {
    let server = Postgres::start();
    let certificates = Certificates::make();
    let end = TlsEnd::start(format!("127.0.0.1:{}", server.port()), &certificates);
    let to = |host: &str, authority: std::path::PathBuf| {
        Settings::default()
            .postgres(&server, &server.create_database())
            .with("DB_HOST", host)
            .with("DB_PORT", end.port().to_string())
            .with("DB_CA_FILE", authority.display().to_string())
    };
    let detail = works(&to("localhost", certificates.ca_file()), "postgres").await;
    assert!(detail.contains("TLS, verified by"), "{detail}");
    works(&to("127.0.0.1", certificates.ca_file()).with("DB_SSLMODE", "verify-full"), "postgres").await;
    // An authority that did not sign it.
    let home = Home::new();
    let wrong = to("localhost", certificates.other_ca_file());
    let instance = serve(&home, &wrong);
    let client = Client::of(&instance);
    assert_eq!(client.broken().await, [("postgres".into(), "database_untrusted".into())]);
    assert_eq!(client.store("ways", "hello").await.unavailable(), "database_untrusted");
    let report = doctor(&home, &wrong);
    assert_eq!(part(&report, "postgres")["state"], "failed");
    assert!(part(&report, "postgres")["hint"].as_str().unwrap().contains("DB_CA_FILE"), "{report}");
    // A server without TLS, where TLS is wanted.
    let plain = Settings::default()
        .postgres(&server, &server.create_database())
        .with("DB_CA_FILE", certificates.ca_file().display().to_string());
    let instance = serve(&home, &plain);
    assert_eq!(Client::of(&instance).broken().await, [("postgres".into(), "database_untrusted".into())]);
}

#[tokio::test]
async fn a_neo4j_with_an_unknown_authority_is_not_trusted() {
    let (server, database) =
        (SharedNeo4j::from_environment(), SharedPostgres::from_environment().create_database());
    let certificates = Certificates::make();
    let settings = Settings::default()
        .shared_postgres(&database)
        .shared_neo4j()
        .neo4j_at(server.uri_with("neo4j+s"))
        .with("NEO4J_CA_FILE", certificates.other_ca_file().display().to_string());
    let home = Home::new();
    let instance = serve(&home, &settings);
    let client = Client::of(&instance);
    assert_eq!(client.broken().await, [("neo4j".into(), "database_untrusted".into())]);
    assert_eq!(client.store("ways", "hello").await.unavailable(), "database_untrusted");
    let report = doctor(&home, &settings);
    assert!(part(&report, "neo4j")["hint"].as_str().unwrap().contains("NEO4J_CA_FILE"), "{report}");
}

/// Without PostgreSQL the records are in the data directory, and what was stored is there after a restart.
#[tokio::test]
async fn neo4j_with_records_in_the_data_directory() {
    let (home, settings) = (Home::new(), Settings::default().shared_neo4j());
    let mut server = serve(&home, &settings);
    Client::of(&server).store("ways", "The key hangs in the hall").await.ok();
    server.signal("TERM");
    server.ended();
    // Without the graph its records are not taken for a memory that keeps everything there.
    let ran = home.run(&["serve", "--offline", "--listen", "127.0.0.1:0"]).failed(1);
    assert!(ran.stderr.contains("in Neo4j") && ran.stderr.contains("NEO4J_URI"), "{ran:?}");
    let server = serve(&home, &settings);
    assert_eq!(Client::of(&server).found("ways", "the key").await, ["The key hangs in the hall"]);
    drop(server);
    assert_eq!(part(&doctor(&home, &settings), "store")["state"], "ok");
}
