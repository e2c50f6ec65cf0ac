//! Artifact Registry: repositories of container images.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::transport::Call;
use crate::wire::Segment;
use crate::{Api, Cloud, Error, Operation};

const API: Api = Api::Images;

/// The repositories of a project in one region.
#[derive(Clone, Debug)]
pub struct Images {
    cloud: Cloud,
    folder: String,
}

/// A repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Repository {
    /// `DOCKER`.
    pub format: String,
    /// `STANDARD_REPOSITORY` or `REMOTE_REPOSITORY`.
    pub mode: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What a remote repository is a mirror of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_repository_config: Option<RemoteRepository>,
    /// Read only: the first part of the names of its images.
    #[serde(skip_serializing)]
    pub registry_uri: String,
}

/// What a remote repository is a mirror of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RemoteRepository {
    /// A registry of container images.
    pub docker_repository: DockerRepository,
}

/// A registry of container images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerRepository {
    /// `DOCKER_HUB`.
    pub public_repository: String,
}

impl Cloud {
    /// Artifact Registry.
    pub fn images(&self, project: &str, region: &str) -> Images {
        Images::new(self.clone(), project, region)
    }
}

impl Images {
    fn new(cloud: Cloud, project: &str, region: &str) -> Self {
        let (project, region) = (Segment(project), Segment(region));
        Self { cloud, folder: format!("v1/projects/{project}/locations/{region}/repositories") }
    }

    fn path(&self, id: &str) -> String {
        format!("{}/{}", self.folder, Segment(id))
    }

    /// Creates a repository.
    pub async fn create(&self, id: &str, repository: &Repository) -> Result<Operation, Error> {
        let call = Call::post(API, &self.folder).query("repositoryId", id).body(repository);
        Operation::named(API, "v1", self.cloud.send::<Value>(call).await?)
    }

    /// Reads a repository.
    pub async fn get(&self, id: &str) -> Result<Repository, Error> {
        self.cloud.send(Call::get(API, self.path(id))).await
    }

    /// Deletes a repository with all of its images.
    pub async fn delete(&self, id: &str) -> Result<Operation, Error> {
        Operation::named(API, "v1", self.cloud.send::<Value>(Call::delete(API, self.path(id))).await?)
    }
}
