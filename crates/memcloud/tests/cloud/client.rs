//! A client of the APIs that asks for what a deployment needs, one call at a time.

use std::time::Duration;

use memcloud_hostile_cloud::{HostileCloud, Options};
use reqwest::Method;
use serde_json::{Value, json};

/// The region of everything.
pub(crate) const REGION: &str = "us-central1";

/// A cloud and a token for it.
pub(crate) struct Client {
    pub(crate) cloud: HostileCloud,
    http: reqwest::Client,
    token: String,
}

impl Client {
    /// A client of a new cloud, with every API enabled and an image of the real server.
    pub(crate) async fn new() -> Self {
        // Another test of this program may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options =
            Options::default().server(env!("CARGO_BIN_EXE_memcloud")).image_env("MEMCLOUD_OFFLINE", "true");
        let cloud = HostileCloud::start(options).unwrap();
        for api in ["run", "sqladmin", "secretmanager", "iam"] {
            cloud.set_api(&format!("{api}.googleapis.com"), true);
        }
        let http = reqwest::Client::builder().build().unwrap();
        let url = format!("{}/computeMetadata/v1/instance/service-accounts/default/token", cloud.base());
        let answer = http.get(url).header("Metadata-Flavor", "Google").send().await.unwrap();
        let token = answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
        Self { cloud, http, token }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let path = path.replace("/P/", &format!("/{}/", self.cloud.project()));
        let request =
            self.http.request(method, format!("{}/{path}", self.cloud.base())).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// A request that must be answered with 200.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(Method::POST, path, Some(body)).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// A request to a service itself, without credentials of the cloud.
    pub(crate) async fn ask(&self, method: Method, url: String, body: Option<Value>) -> (u16, Value) {
        let request = self.http.request(method, url);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Polls an operation until it is done.
    pub(crate) async fn done(&self, operation: &Value) -> Value {
        let name = operation["name"].as_str().unwrap();
        let path = match operation["kind"].as_str() {
            Some("sql#operation") => format!("sqladmin.googleapis.com/v1/projects/P/operations/{name}"),
            _ => format!("run.googleapis.com/v2/{name}"),
        };
        loop {
            let (_, operation) = self.send(Method::GET, &path, None).await;
            if operation["status"] == "DONE" || operation["done"] == true {
                return operation;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Makes a secret with one version that the service account may read, and answers its id.
    pub(crate) async fn secret(&self, id: &str, value: &str, account: &str) {
        let secrets = "secretmanager.googleapis.com/v1/projects/P/secrets";
        self.post(&format!("{secrets}?secretId={id}"), json!({"replication": {"automatic": {}}})).await;
        let data = data_encoding::BASE64.encode(value.as_bytes());
        self.post(&format!("{secrets}/{id}:addVersion"), json!({"payload": {"data": data}})).await;
        let member = format!("serviceAccount:{account}");
        let binding = json!({"role": "roles/secretmanager.secretAccessor", "members": [member]});
        self.post(&format!("{secrets}/{id}:setIamPolicy"), json!({"policy": {"bindings": [binding]}})).await;
    }

    /// Makes an instance of Aura, and answers what is shown once it runs: its address, user and password.
    pub(crate) async fn graph(&mut self) -> Value {
        let (account, instances) = (self.cloud.aura(), "api.neo4j.io/v1/instances");
        let request = self.http.post(format!("{}/api.neo4j.io/oauth/token", self.cloud.base()));
        let request = request.basic_auth(account.client_id, Some(account.client_secret));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer: Value =
            request.body("grant_type=client_credentials").send().await.unwrap().json().await.unwrap();
        let google = std::mem::replace(&mut self.token, answer["access_token"].as_str().unwrap().to_owned());
        let body = json!({
            "version": "5", "region": REGION, "memory": "1GB", "name": "one", "type": "professional-db",
            "tenant_id": account.tenant_id, "cloud_provider": "gcp",
        });
        let (_, made) = self.send(Method::POST, instances, Some(body)).await;
        let path = format!("{instances}/{}", made["data"]["id"].as_str().unwrap());
        loop {
            let (_, seen) = self.send(Method::GET, &path, None).await;
            if seen["data"]["status"] != "creating" {
                assert_eq!(seen["data"]["status"], "running");
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.token = google;
        made["data"].clone()
    }

    /// Makes a database with a user, and answers the connection name of the instance.
    pub(crate) async fn database(&self, password: &str) -> String {
        let instances = "sqladmin.googleapis.com/v1/projects/P/instances";
        let settings = json!({"edition": "ENTERPRISE", "tier": "db-f1-micro"});
        let body = json!({
            "name": "one", "region": REGION, "databaseVersion": "POSTGRES_16", "rootPassword": "root", "settings": settings,
        });
        let calls = [
            (instances.to_owned(), body),
            (format!("{instances}/one/databases"), json!({"name": "memory"})),
            (format!("{instances}/one/users"), json!({"name": "memory", "password": password})),
        ];
        for (path, body) in calls {
            let operation = self.post(&path, body).await;
            let operation = self.done(&operation).await;
            assert_eq!(operation["error"], json!(null));
        }
        format!("{}:{REGION}:one", self.cloud.project())
    }
}
