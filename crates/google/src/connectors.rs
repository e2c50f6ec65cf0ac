//! Serverless VPC Access: connectors by which services reach a network.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::transport::Call;
use crate::wire::Segment;
use crate::{Api, Cloud, Error, Operation};

const API: Api = Api::Connectors;

/// The connectors of a project in one region.
#[derive(Clone, Debug)]
pub struct Connectors {
    cloud: Cloud,
    folder: String,
}

/// A connector. It has no labels, and cannot be repaired: one in the state of an error is deleted and made again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connector {
    /// The name of its network.
    pub network: String,
    /// Its own 16 addresses, which nothing else uses.
    pub ip_cidr_range: String,
    /// Such as `e2-micro`.
    pub machine_type: String,
    /// 2 to 9.
    pub min_instances: u8,
    /// 3 to 10, and more than the least.
    pub max_instances: u8,
    /// Read only: whether it works.
    #[serde(skip_serializing)]
    pub state: ConnectorState,
}

/// Whether a connector works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectorState {
    /// It does.
    Ready,
    /// It is being made.
    Creating,
    /// It is being deleted.
    Deleting,
    /// It never will.
    Error,
    /// It is being changed, or any other.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Cloud {
    /// Serverless VPC Access.
    pub fn connectors(&self, project: &str, region: &str) -> Connectors {
        let (project, region) = (Segment(project), Segment(region));
        let folder = format!("v1/projects/{project}/locations/{region}/connectors");
        Connectors { cloud: self.clone(), folder }
    }
}

impl Connectors {
    fn path(&self, id: &str) -> String {
        format!("{}/{}", self.folder, Segment(id))
    }

    /// Creates a connector. An id has at most 25 characters.
    pub async fn create(&self, id: &str, connector: &Connector) -> Result<Operation, Error> {
        self.begin(Call::post(API, &self.folder).query("connectorId", id).body(connector)).await
    }

    /// Reads a connector.
    pub async fn get(&self, id: &str) -> Result<Connector, Error> {
        self.cloud.send(Call::get(API, self.path(id))).await
    }

    /// Deletes a connector.
    pub async fn delete(&self, id: &str) -> Result<Operation, Error> {
        self.begin(Call::delete(API, self.path(id))).await
    }

    async fn begin(&self, call: Call) -> Result<Operation, Error> {
        Operation::named(API, "v1", self.cloud.send::<Value>(call).await?)
    }
}
