//! Cloud SQL, with a real PostgreSQL where a test says so.

use std::time::Duration;

use memcloud_hostile_cloud::{Fault, On, Options};
use memcloud_test_servers::SharedPostgres;
use reqwest::Method;
use serde_json::json;

use crate::client::{Client, instance};

const INSTANCES: &str = "sqladmin.googleapis.com/v1/projects/P/instances";

#[tokio::test]
async fn an_instance_does_one_thing_at_a_time_and_its_name_is_blocked_for_a_week() {
    let client = Client::of(Options::default().without_processes()).await;
    let (status, operation) = client.post(INSTANCES, instance("one")).await;
    assert_eq!((status, &operation["status"]), (200, &json!("PENDING")));
    client.cloud.hold_operations(true);
    let (status, answer) = client.post(&format!("{INSTANCES}/one/databases"), json!({"name": "d"})).await;
    assert_eq!((status, &answer["error"]["errors"][0]["reason"]), (409, &json!("operationInProgress")));
    client.cloud.hold_operations(false);
    assert_eq!(client.done(&operation).await["error"], json!(null));
    assert_eq!(client.get(&format!("{INSTANCES}/one")).await.1["state"], "RUNNABLE");

    let (_, operation) = client.send(Method::DELETE, &format!("{INSTANCES}/one"), None).await.unwrap();
    client.done(&operation).await;
    assert!(client.cloud.resources().is_empty(), "{:?}", client.cloud.resources());
    let (status, answer) = client.post(INSTANCES, instance("one")).await;
    assert_eq!((status, &answer["error"]["errors"][0]["reason"]), (409, &json!("instanceAlreadyExists")));
    client.cloud.advance(Duration::from_hours(24 * 8));
    let mut client = client;
    client.sign_in().await;
    assert_eq!(client.post(INSTANCES, instance("one")).await.0, 200);
}

#[tokio::test]
async fn an_operation_that_fails_leaves_an_instance_that_has_failed() {
    let client = Client::of(Options::default().without_processes()).await;
    let fault =
        Fault::OperationFails { code: "INTERNAL_ERROR".to_owned(), message: "no capacity".to_owned() };
    client.cloud.fail_next(On::id("sql.instances.insert"), fault);
    let (_, operation) = client.post(INSTANCES, instance("one")).await;
    let operation = client.done(&operation).await;
    assert_eq!(operation["error"]["errors"][0]["message"], "no capacity");
    assert_eq!(client.get(&format!("{INSTANCES}/one")).await.1["state"], "FAILED");
}

#[tokio::test]
async fn a_tier_needs_its_edition() {
    let client = Client::of(Options::default().without_processes()).await;
    let mut body = instance("one");
    body["settings"] = json!({"tier": "db-f1-micro"});
    let (status, answer) = client.post(INSTANCES, body).await;
    assert_eq!(status, 400);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("Invalid Tier (db-f1-micro) for (ENTERPRISE_PLUS) Edition"), "{message}");
}

#[tokio::test]
async fn fault_an_instance_is_a_real_postgres_behind_its_socket() {
    let client = Client::of(Options::default()).await;
    let (_, operation) = client.post(INSTANCES, instance("one")).await;
    assert_eq!(client.done(&operation).await["error"], json!(null));
    let calls =
        [("databases", json!({"name": "memory"})), ("users", json!({"name": "m", "password": "it's"}))];
    for (collection, body) in calls {
        let (_, operation) = client.post(&format!("{INSTANCES}/one/{collection}"), body).await;
        assert_eq!(client.done(&operation).await["error"], json!(null));
    }
    let (_, body) = client.get(&format!("{INSTANCES}/one")).await;
    let folder = client.cloud.root().join("cloudsql").join(body["connectionName"].as_str().unwrap());
    assert!(folder.join(".s.PGSQL.5432").as_os_str().len() <= 107);
    let url = format!("postgres://m:it%27s@/memory?host={}", folder.display());
    let run = |sql: &str| SharedPostgres::at(&url).execute(sql);
    run("CREATE EXTENSION vector");
    run("CREATE TABLE t (v vector(2))");
    assert_eq!(
        run("SELECT pg_has_role('cloudsqlsuperuser', 'member'), current_setting('max_connections')"),
        "t|25"
    );
    assert_eq!(client.cloud.process_count(), 1);
    let (_, operation) = client.send(Method::DELETE, &format!("{INSTANCES}/one"), None).await.unwrap();
    client.done(&operation).await;
    assert_eq!(client.cloud.process_count(), 0);
    assert!(client.cloud.violations().is_empty());
}
