//! A service on the stand-in for Cloud Run, with a database on that for Cloud SQL.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, REGION};

const SERVICES: &str = "run.googleapis.com/v2/projects/P/locations/us-central1/services";
const PASSWORD: &str = "a'b%c";

/// The body of a service that keeps its memory in a database.
fn service(client: &Client, account: &str, connection: &str) -> Value {
    let secret = |id: &str| json!({"secretKeyRef": {"secret": id, "version": "1"}});
    json!({
        "template": {
            "serviceAccount": account,
            "containers": [{
                "image": client.cloud.image(),
                "ports": [{"name": "http1", "containerPort": 8080}],
                "env": [
                    {"name": "DB_HOST", "value": format!("/cloudsql/{connection}")},
                    {"name": "DB_NAME", "value": "memory"},
                    {"name": "DB_USER", "value": "memory"},
                    {"name": "DB_PASSWORD", "valueSource": secret("password")},
                    {"name": "MEMCLOUD_API_KEYS_FILE", "value": "/config/keys"},
                ],
                "startupProbe": {"httpGet": {"path": "/health/live", "port": 8080}, "periodSeconds": 10, "failureThreshold": 24},
                "volumeMounts": [{"name": "cloudsql", "mountPath": "/cloudsql"}, {"name": "keys", "mountPath": "/config"}],
            }],
            "volumes": [
                {"name": "cloudsql", "cloudSqlInstance": {"instances": [connection]}},
                {"name": "keys", "secret": {"secret": "keys", "items": [{"path": "keys", "version": "1"}]}},
            ],
        },
    })
}

/// Permits the account to connect to databases.
async fn grant(client: &Client, account: &str) {
    let project = format!("cloudresourcemanager.googleapis.com/v3/projects/{}", client.cloud.project());
    let mut policy = client.post(&format!("{project}:getIamPolicy"), json!({})).await;
    let binding = json!({"role": "roles/cloudsql.client", "members": [format!("serviceAccount:{account}")]});
    policy["bindings"].as_array_mut().unwrap().push(binding);
    client.post(&format!("{project}:setIamPolicy"), json!({"policy": policy})).await;
}

/// A service account, and the two secrets of a service.
async fn prepared(client: &Client) -> String {
    let accounts = "iam.googleapis.com/v1/projects/P/serviceAccounts";
    let account = client.post(accounts, json!({"accountId": "runtime"})).await;
    let account = account["email"].as_str().unwrap().to_owned();
    client.secret("password", PASSWORD, &account).await;
    client.secret("keys", "a-key-of-at-least-sixteen-characters", &account).await;
    account
}

#[tokio::test]
async fn fault_a_service_stores_in_its_database_and_survives_a_restart() {
    let client = Client::new().await;
    let (account, connection) = (prepared(&client).await, client.database(PASSWORD).await);
    grant(&client, &account).await;
    let operation =
        client.post(&format!("{SERVICES}?serviceId=one"), service(&client, &account, &connection)).await;
    let operation = client.done(&operation).await;
    assert_eq!(operation["error"], json!(null));
    let service = &operation["response"];
    assert_eq!(service["terminalCondition"]["state"], "CONDITION_SUCCEEDED");
    let uri = service["uri"].as_str().unwrap();

    let health = format!("{uri}/health/live");
    assert_eq!(
        client.ask(Method::GET, health.clone(), None).await.0,
        403,
        "no one has been permitted to call it"
    );
    let binding = json!({"role": "roles/run.invoker", "members": ["allUsers"]});
    client.post(&format!("{SERVICES}/one:setIamPolicy"), json!({"policy": {"bindings": [binding]}})).await;
    assert_eq!(client.ask(Method::GET, health.clone(), None).await.0, 200);
    let (status, _) = client.ask(Method::GET, format!("{uri}/v1/sessions"), None).await;
    assert_eq!(status, 401, "the mounted secret is the file of its keys");

    let tables =
        "SELECT count(*) > 0 FROM pg_tables WHERE schemaname = 'public' OR schemaname LIKE 'memcloud%'";
    let folder = client.cloud.root().join("cloudsql").join(&connection);
    let url = format!("postgres://memory:a%27b%25c@/memory?host={}", folder.display());
    assert_eq!(memcloud_test_servers::SharedPostgres::at(&url).execute(tables), "t");

    client.cloud.restart_services();
    assert_eq!(client.cloud.process_count(), 1);
    assert_eq!(client.ask(Method::GET, health, None).await.0, 200);
    assert_eq!(client.cloud.process_count(), 2);
    assert_eq!(client.cloud.violations(), []);
}

#[tokio::test]
async fn fault_a_service_reaches_its_graph_by_the_authorities_of_its_image() {
    let mut client = Client::new().await;
    let (account, connection) = (prepared(&client).await, client.database(PASSWORD).await);
    grant(&client, &account).await;
    let graph = client.graph().await;
    let text = |field: &str| graph[field].as_str().unwrap();
    client.secret("graph", text("password"), &account).await;
    let mut body = service(&client, &account, &connection);
    let environment = body["template"]["containers"][0]["env"].as_array_mut().unwrap();
    let password = json!({"secretKeyRef": {"secret": "graph", "version": "latest"}});
    environment.extend([
        json!({"name": "NEO4J_URI", "value": text("connection_url")}),
        json!({"name": "NEO4J_USER", "value": text("username")}),
        json!({"name": "NEO4J_PASSWORD", "valueSource": password}),
    ]);
    let operation = client.post(&format!("{SERVICES}?serviceId=one"), body).await;
    let operation = client.done(&operation).await;
    assert_eq!(operation["error"], json!(null));
    assert_eq!(client.cloud.process_count(), 3);
    assert_eq!(client.cloud.violations(), []);
}

#[tokio::test]
async fn fault_a_service_that_cannot_start_says_why() {
    let client = Client::new().await;
    let account = prepared(&client).await;
    let connection = format!("{}:{REGION}:missing", client.cloud.project());
    let body = service(&client, &account, &connection);
    let deploy = async |id: &str, change: &dyn Fn(&mut Value)| {
        let mut body = body.clone();
        change(&mut body["template"]["containers"][0]);
        let operation = client.post(&format!("{SERVICES}?serviceId={id}"), body).await;
        let operation = client.done(&operation).await;
        assert!(operation["error"]["message"].is_string(), "{operation}");
        let (_, service) = client.send(Method::GET, &format!("{SERVICES}/{id}"), None).await;
        service["terminalCondition"].clone()
    };
    let image =
        deploy("image", &|container| container["image"] = "us-central1-docker.pkg.dev/p/r/i:latest".into())
            .await;
    assert_eq!(image["reason"], "CONTAINER_MISSING");
    let secret = deploy("secret", &|container| {
        container["env"][3]["valueSource"]["secretKeyRef"]["version"] = "2".into();
    })
    .await;
    assert_eq!(secret["reason"], "SECRETS_ACCESS_CHECK_FAILED");
    let health =
        deploy("health", &|container| container["startupProbe"]["failureThreshold"] = 1.into()).await;
    assert_eq!(health["revisionReason"], "HEALTH_CHECK_CONTAINER_ERROR");
    assert_eq!(client.cloud.process_count(), 0);
}
