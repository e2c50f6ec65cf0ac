//! Aura.

use memcloud_hostile_cloud::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;

const INSTANCES: &str = "api.neo4j.io/v1/instances";

fn instance(client: &Client, name: &str) -> Value {
    json!({
        "version": "5", "region": "us-central1", "memory": "1GB", "name": name, "type": "professional-db",
        "tenant_id": client.cloud.aura().tenant_id, "cloud_provider": "gcp",
    })
}

#[tokio::test]
async fn names_can_be_taken_twice_and_the_password_is_shown_once() {
    let mut client = Client::of(Options::default().without_processes()).await;
    client.sign_in_to_aura().await;
    let (status, first) = client.post(INSTANCES, instance(&client, "one")).await;
    assert_eq!(status, 202);
    assert!(!first["data"]["password"].as_str().unwrap().is_empty());
    assert_eq!(client.post(INSTANCES, instance(&client, "one")).await.0, 202);
    assert_eq!(client.get(INSTANCES).await.1["data"].as_array().unwrap().len(), 2);
    let path = format!("{INSTANCES}/{}", first["data"]["id"].as_str().unwrap());
    let (_, seen) = client.get(&path).await;
    assert_eq!((&seen["data"]["status"], &seen["data"]["password"]), (&json!("running"), &json!(null)));
    assert_eq!(client.send(Method::DELETE, &path, None).await.unwrap().0, 202);
    let (status, answer) = client.get(&path).await;
    assert_eq!((status, &answer["errors"][0]["reason"]), (404, &json!("db-not-found")));
    assert_eq!(client.cloud.resources().len(), 1);
}

#[tokio::test]
async fn a_free_instance_is_in_one_place_only() {
    let mut client = Client::of(Options::default().without_processes()).await;
    client.sign_in_to_aura().await;
    let mut body = instance(&client, "free");
    body["type"] = "free-db".into();
    let (status, answer) = client.post(INSTANCES, body.clone()).await;
    assert_eq!((status, &answer["errors"][0]["reason"]), (400, &json!("tenant-incapable-of-action")));
    body["region"] = "europe-west1".into();
    assert_eq!(client.post(INSTANCES, body.clone()).await.0, 202);
    assert_eq!(client.post(INSTANCES, body).await.0, 400, "there is one free instance only");
}
