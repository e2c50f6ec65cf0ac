//! Networks and what belongs to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// For people, and whose it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether each region gets a part on its own. It must be said: without it the network is of an older kind.
    pub auto_create_subnetworks: bool,
    /// How routes are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_config: Option<Routing>,
    /// Read only: the networks that it is connected to.
    #[serde(skip_serializing)]
    pub peerings: Vec<Peer>,
}

/// How routes are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Routing {
    /// `REGIONAL` or `GLOBAL`.
    pub routing_mode: String,
}

/// A network that another one is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Peer {
    /// The name of the connection.
    pub name: String,
}

/// The part of a network in a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subnetwork {
    /// Its name.
    pub name: String,
    /// For people, and whose it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The full name of its network.
    pub network: String,
    /// Its addresses.
    pub ip_cidr_range: String,
    /// Whether machines without a public address reach Google's APIs.
    pub private_ip_google_access: bool,
}

/// A firewall rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Firewall {
    /// Its name.
    pub name: String,
    /// For people, and whose it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The full name of its network.
    pub network: String,
    /// `INGRESS` or `EGRESS`.
    pub direction: String,
    /// The smallest number counts first.
    pub priority: u16,
    /// From where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_ranges: Vec<String>,
    /// To machines with one of these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_tags: Vec<String>,
    /// What is allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Allowed>,
}

/// A protocol and its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowed {
    /// `tcp` or another one.
    #[serde(rename = "IPProtocol")]
    pub protocol: String,
    /// The ports; all if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
}

/// An address, or a range of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Address {
    /// Its name.
    pub name: String,
    /// For people, and whose it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `INTERNAL` or `EXTERNAL`.
    pub address_type: String,
    /// `VPC_PEERING` or `GCE_ENDPOINT`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// The address, or the first one; Google chooses one where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The size of a range, such as 20 for 4,096 addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_length: Option<u8>,
    /// The full name of the network of a range.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// The full name of the part of a network that an address is in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subnetwork: String,
}

/// A router.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Router {
    /// Its name.
    pub name: String,
    /// For people, and whose it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The full name of its network.
    pub network: String,
    /// By what machines without a public address reach the internet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nats: Vec<Nat>,
}

/// A translation of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Nat {
    /// Its name.
    pub name: String,
    /// `AUTO_ONLY`: Google chooses the public addresses.
    pub nat_ip_allocate_option: String,
    /// `ALL_SUBNETWORKS_ALL_IP_RANGES`.
    pub source_subnetwork_ip_ranges_to_nat: String,
}
