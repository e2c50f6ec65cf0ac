//! A client that sends one request at a time and repeats nothing.

use memcloud_hostile_cloud::{HostileCloud, Options};
use reqwest::Method;
use serde_json::{Value, json};

/// Where the resources of Compute are.
pub(crate) const COMPUTE: &str = "compute.googleapis.com/compute/v1/projects/P";

/// A cloud and a token for it.
pub(crate) struct Client {
    pub(crate) cloud: HostileCloud,
    http: reqwest::Client,
    token: String,
}

impl Client {
    /// A client of a new cloud in which every API that is named is on.
    pub(crate) async fn of(options: Options) -> Self {
        // Another test of this program may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cloud = HostileCloud::start(options).unwrap();
        for api in [
            "run",
            "sqladmin",
            "secretmanager",
            "iam",
            "compute",
            "servicenetworking",
            "vpcaccess",
            "container",
        ] {
            cloud.set_api(&format!("{api}.googleapis.com"), true);
        }
        let http = reqwest::Client::builder().build().unwrap();
        let mut client = Self { cloud, http, token: String::new() };
        client.sign_in().await;
        client
    }

    /// Gets a new token from the metadata server.
    pub(crate) async fn sign_in(&mut self) {
        let url = format!("{}/computeMetadata/v1/instance/service-accounts/default/token", self.cloud.base());
        let answer = self.http.get(url).header("Metadata-Flavor", "Google").send().await.unwrap();
        self.set_token(answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap());
    }

    /// Gets a token of Aura.
    pub(crate) async fn sign_in_to_aura(&mut self) {
        let account = self.cloud.aura();
        let url = format!("{}/api.neo4j.io/oauth/token", self.cloud.base());
        let request = self.http.post(url).basic_auth(account.client_id, Some(account.client_secret));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body("grant_type=client_credentials").send().await.unwrap();
        self.set_token(answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap());
    }

    pub(crate) fn set_token(&mut self, token: &str) {
        token.clone_into(&mut self.token);
    }

    /// The status and body of the answer, or the error of a connection that was closed. `P` in the path is the project.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<(u16, Value)> {
        let path = path.replace("/P/", &format!("/{}/", self.cloud.project()));
        let mut request =
            self.http.request(method, format!("{}/{path}", self.cloud.base())).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.unwrap_or_default()))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, None).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, path, Some(body)).await.unwrap()
    }

    /// Sends a request that must begin an operation of Compute, waits until it is done, and answers its errors.
    pub(crate) async fn compute(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, mut operation) = self.send(method, &format!("{COMPUTE}/{path}"), body).await.unwrap();
        assert_eq!(status, 200, "{path}: {operation}");
        while operation["status"] != "DONE" {
            let link = operation["selfLink"].as_str().unwrap().to_owned();
            let (_, path) = link.split_once(&format!("{}/", self.cloud.base())).unwrap();
            operation = self.send(Method::POST, &format!("{path}/wait"), None).await.unwrap().1;
        }
        operation["error"]["errors"].clone()
    }

    /// Polls an operation of SQL until it is done.
    pub(crate) async fn done(&self, operation: &Value) -> Value {
        let path = format!(
            "sqladmin.googleapis.com/v1/projects/P/operations/{}",
            operation["name"].as_str().unwrap()
        );
        loop {
            let (_, operation) = self.get(&path).await;
            if operation["status"] == "DONE" {
                return operation;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// The body of a small Cloud SQL instance.
pub(crate) fn instance(name: &str) -> Value {
    json!({
        "name": name,
        "region": "us-central1",
        "databaseVersion": "POSTGRES_16",
        "rootPassword": "root's",
        "settings": {"edition": "ENTERPRISE", "tier": "db-f1-micro"},
    })
}
