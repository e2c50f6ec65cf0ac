//! Kubernetes Engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::transport::Call;
use crate::wire::Segment;
use crate::{Api, Cloud, Error, Operation};

const API: Api = Api::Clusters;

/// The clusters of a project in one region.
#[derive(Clone, Debug)]
pub struct Clusters {
    cloud: Cloud,
    location: String,
}

/// A cluster. The fields from `endpoint` on are read only, and are not sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether Google runs its machines.
    pub autopilot: Autopilot,
    /// The full name of its network.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// The full name of the part of its network.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subnetwork: String,
    /// Where the addresses of its containers are from.
    pub ip_allocation_policy: IpAllocation,
    /// How soon it gets new versions.
    pub release_channel: ReleaseChannel,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resource_labels: BTreeMap<String, String>,
    /// The host of its API server.
    #[serde(skip_serializing)]
    pub endpoint: String,
    /// What its API server is known by.
    #[serde(skip_serializing)]
    pub master_auth: MasterAuth,
    /// Whether it works.
    #[serde(skip_serializing)]
    pub status: ClusterStatus,
}

/// Whether Google runs the machines of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Autopilot {
    /// It does.
    pub enabled: bool,
}

/// Where the addresses of containers are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IpAllocation {
    /// From the network itself.
    pub use_ip_aliases: bool,
}

/// How soon a cluster gets new versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseChannel {
    /// `REGULAR`, `STABLE` or `RAPID`.
    pub channel: String,
}

/// What an API server is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MasterAuth {
    /// The certificate of its authority: PEM in base64.
    pub cluster_ca_certificate: String,
}

/// Whether a cluster works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClusterStatus {
    /// It does.
    Running,
    /// It is being made.
    Provisioning,
    /// It is being deleted.
    Stopping,
    /// It does not.
    Error,
    /// It works in part.
    Degraded,
    /// It is being changed, or any other.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Cloud {
    /// Kubernetes Engine.
    pub fn clusters(&self, project: &str, region: &str) -> Clusters {
        let location = format!("v1/projects/{}/locations/{}", Segment(project), Segment(region));
        Clusters { cloud: self.clone(), location }
    }
}

impl Clusters {
    fn path(&self, name: &str) -> String {
        format!("{}/clusters/{}", self.location, Segment(name))
    }

    /// Creates a cluster, which takes 5 to 10 minutes.
    pub async fn create(&self, cluster: &Cluster) -> Result<Operation, Error> {
        let call = Call::post(API, format!("{}/clusters", self.location));
        self.begin(call.body(json!({"cluster": cluster}))).await
    }

    /// Reads a cluster.
    pub async fn get(&self, name: &str) -> Result<Cluster, Error> {
        self.cloud.send(Call::get(API, self.path(name))).await
    }

    /// All clusters.
    pub async fn list(&self) -> Result<Vec<Cluster>, Error> {
        self.cloud.list(Call::get(API, format!("{}/clusters", self.location)), "clusters").await
    }

    /// Deletes a cluster. Load balancers and disks that were made for what ran in it stay.
    pub async fn delete(&self, name: &str) -> Result<Operation, Error> {
        self.begin(Call::delete(API, self.path(name))).await
    }

    async fn begin(&self, call: Call) -> Result<Operation, Error> {
        let operations = format!("{}/operations", self.location);
        Operation::named(API, &operations, self.cloud.send::<Value>(call).await?)
    }
}
