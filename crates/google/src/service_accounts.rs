//! The service accounts of IAM.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::transport::Call;
use crate::wire::Segment;
use crate::{Api, Cloud, Error};

const API: Api = Api::Iam;

/// The service accounts of a project.
#[derive(Clone, Debug)]
pub struct ServiceAccounts {
    cloud: Cloud,
    project: String,
}

/// An account that programs run as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceAccount {
    /// Its name for people and policies.
    pub email: String,
    /// Its name for good: an account that is made again has another one, and none of the grants.
    pub unique_id: String,
    /// For people.
    pub display_name: String,
    /// For people, and who it belongs to.
    pub description: String,
    /// Whether it cannot be used.
    pub disabled: bool,
}

impl Cloud {
    /// The service accounts of IAM.
    pub fn service_accounts(&self, project: &str) -> ServiceAccounts {
        ServiceAccounts::new(self.clone(), project)
    }
}

impl ServiceAccounts {
    fn new(cloud: Cloud, project: &str) -> Self {
        Self { cloud, project: project.into() }
    }

    fn folder(&self) -> String {
        format!("v1/projects/{}/serviceAccounts", Segment(&self.project))
    }

    fn path(&self, email: &str) -> String {
        format!("{}/{}", self.folder(), Segment(email))
    }

    /// The address of the account with this id.
    pub fn email(&self, id: &str) -> String {
        match self.project.split_once(':') {
            // A project within a domain.
            Some((domain, project)) => format!("{id}@{project}.{domain}.iam.gserviceaccount.com"),
            None => format!("{id}@{}.iam.gserviceaccount.com", self.project),
        }
    }

    /// Creates an account. An id has 6 to 30 lower-case letters, digits and hyphens. It takes seconds until other APIs see it.
    pub async fn create(
        &self,
        id: &str,
        display_name: &str,
        description: &str,
    ) -> Result<ServiceAccount, Error> {
        let account = json!({"displayName": display_name, "description": description});
        let body = json!({"accountId": id, "serviceAccount": account});
        self.cloud.send(Call::post(API, self.folder()).body(body)).await
    }

    /// Reads an account.
    pub async fn get(&self, email: &str) -> Result<ServiceAccount, Error> {
        self.cloud.send(Call::get(API, self.path(email))).await
    }

    /// All accounts of the project.
    pub async fn list(&self) -> Result<Vec<ServiceAccount>, Error> {
        self.cloud.list(Call::get(API, self.folder()), "accounts").await
    }

    /// Deletes an account. Its roles are to be revoked first: policies keep what is left of it.
    pub async fn delete(&self, email: &str) -> Result<(), Error> {
        self.cloud.send::<Value>(Call::delete(API, self.path(email))).await.map(drop)
    }
}
