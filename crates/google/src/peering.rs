//! Service Networking: the connection of a network with those of Google's own services.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::transport::Call;
use crate::{Api, Cloud, Error, Operation};

const API: Api = Api::Peering;
const CONNECTIONS: &str = "v1/services/servicenetworking.googleapis.com/connections";

/// The connections of networks. They name a network by the number of its project: `projects/123/global/networks/n`.
#[derive(Clone, Debug)]
pub struct Peering {
    cloud: Cloud,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connection {
    /// The network.
    pub network: String,
    /// The name of the connection within the network.
    pub peering: String,
    /// The names of the ranges that Google's services get their addresses from.
    pub reserved_peering_ranges: Vec<String>,
}

impl Cloud {
    /// Service Networking.
    pub fn peering(&self) -> Peering {
        Peering { cloud: self.clone() }
    }
}

impl Peering {
    /// The name of the connection within its network.
    pub const NAME: &str = "servicenetworking-googleapis-com";

    /// Connects a network, or gives its connection exactly these ranges.
    pub async fn connect(&self, network: &str, ranges: &[&str]) -> Result<Operation, Error> {
        let call = Call::patch(API, format!("{CONNECTIONS}/-"));
        let call = call.query("force", "true").query("updateMask", "reservedPeeringRanges");
        self.begin(call.body(json!({"network": network, "reservedPeeringRanges": ranges}))).await
    }

    /// The connections of a network.
    pub async fn list(&self, network: &str) -> Result<Vec<Connection>, Error> {
        self.cloud.list(Call::get(API, CONNECTIONS).query("network", network), "connections").await
    }

    /// Removes the connection of a network. It is refused as still used for hours after the last database in it is gone; the
    /// network itself can then remove its side.
    pub async fn delete(&self, network: &str) -> Result<Operation, Error> {
        let call = Call::post(API, format!("{CONNECTIONS}/{}", Self::NAME));
        self.begin(call.body(json!({"consumerNetwork": network}))).await
    }

    async fn begin(&self, call: Call) -> Result<Operation, Error> {
        Operation::named(API, "v1", self.cloud.send::<Value>(call).await?)
    }
}
