//! Faults.

use memcloud_hostile_cloud::{Fault, Faults, On, Options};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;

const SECRETS: &str = "secretmanager.googleapis.com/v1/projects/P/secrets";

fn secret() -> Value {
    json!({"replication": {"automatic": {}}})
}

/// Repeats a request until it is neither throttled nor lost nor refused for the moment.
async fn through(client: &Client, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    loop {
        match client.send(method.clone(), path, body.clone()).await {
            Ok((500.. | 429, _)) | Err(_) => {}
            Ok((403, answer)) if answer["error"]["status"] == "RESOURCE_EXHAUSTED" => {}
            Ok(answer) => return answer,
        }
    }
}

#[tokio::test]
async fn a_lost_reply_has_an_effect_and_a_dropped_request_has_none() {
    let client = Client::of(Options::default().without_processes()).await;
    let create = On::id("secretmanager.projects.secrets.create");
    client.cloud.fail_next(create.clone(), Fault::Dropped);
    client.cloud.fail_next(create, Fault::LostReply);
    let path = format!("{SECRETS}?secretId=one");
    assert!(client.send(Method::POST, &path, Some(secret())).await.is_err());
    assert!(client.cloud.resources().is_empty());
    assert!(client.send(Method::POST, &path, Some(secret())).await.is_err());
    assert_eq!(client.cloud.resources(), ["projects/memcloud-fake/secrets/one"]);
    assert_eq!(client.post(&path, secret()).await.0, 409);
    let seen: Vec<u16> = client.cloud.requests().iter().map(|request| request.status).collect();
    assert_eq!(seen, [0, 0, 409]);
}

#[tokio::test]
async fn a_policy_is_replaced_only_by_one_who_has_read_the_last_one() {
    let client = Client::of(Options::default().without_processes()).await;
    let project = "cloudresourcemanager.googleapis.com/v3/projects/memcloud-fake";
    let (_, policy) = client.post(&format!("{project}:getIamPolicy"), json!({})).await;
    client.cloud.fail_next(On::id("cloudresourcemanager.projects.setIamPolicy"), Fault::Raced);
    let set = format!("{project}:setIamPolicy");
    let (status, answer) = client.post(&set, json!({"policy": policy})).await;
    assert_eq!((status, &answer["error"]["status"]), (409, &json!("ABORTED")));
    let (_, mut policy) = client.post(&format!("{project}:getIamPolicy"), json!({})).await;
    assert_eq!(client.post(&set, json!({"policy": policy})).await.0, 200);
    assert!(client.cloud.foreign_binding_kept());
    policy["bindings"] = json!([]);
    policy["etag"] = client.post(&format!("{project}:getIamPolicy"), json!({})).await.1["etag"].clone();
    assert_eq!(client.post(&set, json!({"policy": policy})).await.0, 200);
    assert!(!client.cloud.foreign_binding_kept());
}

#[tokio::test]
async fn a_client_that_repeats_gets_through_a_hostile_cloud() {
    let client = Client::of(Options::default().without_processes().faults(Faults::Hostile).seed(3)).await;
    for number in 0..30 {
        let path = format!("{SECRETS}?secretId=s{number}");
        let (status, _) = through(&client, Method::POST, &path, Some(secret())).await;
        assert!([200, 409].contains(&status), "{status}");
    }
    let (_, list) = through(&client, Method::GET, SECRETS, None).await;
    assert_eq!(list["secrets"].as_array().unwrap().len(), 30);
    let failed = client.cloud.requests().iter().filter(|request| request.status != 200).count();
    assert!(failed > 5, "the cloud was not hostile: {failed} failures");
}

#[tokio::test]
async fn the_same_seed_fails_the_same_requests() {
    let mut statuses = Vec::new();
    for seed in [8, 8, 9] {
        let client =
            Client::of(Options::default().without_processes().faults(Faults::Hostile).seed(seed)).await;
        for _ in 0..40 {
            // Some connections are closed.
            let _ = client.send(Method::GET, SECRETS, None).await;
        }
        statuses.push(client.cloud.requests().iter().map(|request| request.status).collect::<Vec<_>>());
    }
    assert_eq!(statuses[0], statuses[1]);
    assert_ne!(statuses[0], statuses[2]);
}
