//! Who is admitted: tokens, projects, APIs, permissions, billing.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use memcloud_hostile_cloud::Options;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};

use crate::client::Client;

const SECRETS: &str = "secretmanager.googleapis.com/v1/projects/P/secrets";

#[tokio::test]
async fn a_token_expires_by_the_clock_of_the_cloud() {
    let mut client = Client::of(Options::default().without_processes()).await;
    assert_eq!(client.get(SECRETS).await.0, 200);
    client.cloud.advance(Duration::from_hours(2));
    assert_eq!(client.get(SECRETS).await.0, 401);
    client.sign_in().await;
    assert_eq!(client.get(SECRETS).await.0, 200);
}

#[tokio::test]
async fn an_expired_token_of_aura_is_answered_with_403() {
    let mut client = Client::of(Options::default().without_processes()).await;
    client.sign_in_to_aura().await;
    assert_eq!(client.get("api.neo4j.io/v1/tenants").await.0, 200);
    client.cloud.advance(Duration::from_hours(2));
    assert_eq!(client.get("api.neo4j.io/v1/tenants").await.0, 403);
}

/// What the service account of the credentials file signs.
fn signed(credentials: &Value, lives: Duration) -> String {
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": credentials["client_email"], "sub": credentials["client_email"],
        "scope": "https://www.googleapis.com/auth/cloud-platform", "iat": now, "exp": now + lives.as_secs() as i64,
    });
    let encode = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let text = format!("{}.{}", encode(&json!({"alg": "RS256", "typ": "JWT"})), encode(&claims));
    let pem: String =
        credentials["private_key"].as_str().unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    let key = KeyPair::from_pkcs8(&data_encoding::BASE64.decode(pem.as_bytes()).unwrap()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

#[tokio::test]
async fn what_the_account_of_the_credentials_file_signs_is_a_token() {
    let mut client = Client::of(Options::default().without_processes()).await;
    let credentials = std::fs::read(client.cloud.credentials_file()).unwrap();
    let credentials: Value = serde_json::from_slice(&credentials).unwrap();
    let token = signed(&credentials, Duration::from_mins(10));
    client.set_token(&token);
    assert_eq!(client.get(SECRETS).await.0, 200);
    client.set_token(&token.replace("ey", "eY"));
    assert_eq!(client.get(SECRETS).await.0, 401);
    client.set_token(&signed(&credentials, Duration::from_hours(24)));
    assert_eq!(client.get(SECRETS).await.0, 401, "no assertion lives for a day");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let client = Client::of(Options::default().without_processes()).await;
    let reason = |answer: &Value| answer["error"]["details"][0]["reason"].clone();
    client.cloud.set_permission("secretmanager.secrets.list", false);
    let (status, answer) = client.get(SECRETS).await;
    assert_eq!(status, 403);
    assert!(
        answer["error"]["message"].as_str().unwrap().contains("'secretmanager.secrets.list'"),
        "{answer}"
    );
    let asked = json!({"permissions": ["secretmanager.secrets.list", "run.services.create"]});
    let (_, has) = client
        .post("cloudresourcemanager.googleapis.com/v3/projects/memcloud-fake:testIamPermissions", asked)
        .await;
    assert_eq!(has, json!({"permissions": ["run.services.create"]}));
    client.cloud.set_permission("secretmanager.secrets.list", true);

    client.cloud.set_billing(false);
    assert_eq!(reason(&client.get(SECRETS).await.1), "BILLING_DISABLED");
    client.cloud.set_api("secretmanager.googleapis.com", false);
    assert_eq!(reason(&client.get(SECRETS).await.1), "SERVICE_DISABLED");
    let (status, _) = client.get(&SECRETS.replace("/P/", "/someone-elses/")).await;
    assert_eq!(status, 403, "a project of others looks like one that does not exist");
}
