use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Integer, Problems};

/// Where and how an instance runs on Google Cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct GooglePlace {
    /// The id of the project. Default: that of the console's settings.
    #[schema(min_length = 6, max_length = 30, pattern = "^[a-z][a-z0-9-]*[a-z0-9]$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub project: Option<String>,
    /// The region, such as `europe-west1`.
    #[schema(max_length = 40, pattern = "^[a-z]+(-[a-z]+)+[0-9]+$")]
    pub region: String,
    /// The image of the server. Default: the one of the console's version in the repository `memcloud` of the project and region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub image: Option<String>,
    /// The fewest servers, which are always there: 0 to 100. Default: 0.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub min_servers: Option<Integer>,
    /// The most servers at a time: 1 to 100. Default: 1.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub max_servers: Option<Integer>,
    /// The machine of Cloud SQL. Default: `db-f1-micro`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub database_tier: Option<String>,
    /// The machine of Neo4j, for `vm`. Default: `e2-medium`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub machine_type: Option<String>,
    /// Whether the servers reach the network by a connector instead of directly, for `vm`. Default: `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub connector: Option<bool>,
    /// IPv4 ranges from which Neo4j may be reached besides the servers, for `vm`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[deserr(default)]
    pub bolt_ranges: Vec<String>,
    /// The Neo4j Aura instance that is made, for `aura` without a Neo4j of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub aura: Option<Aura>,
}

/// A Neo4j Aura instance to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct Aura {
    /// `free`, `professional` or `business-critical`. Default: `professional`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub tier: Option<String>,
    /// Its memory in GB: 1 to 512. Default: 1, and 2 for `business-critical`.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 512)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub memory_gb: Option<Integer>,
    /// Its region. Default: that of the servers, and `europe-west1` for `free`, which has no other.
    #[schema(max_length = 40, pattern = "^[a-z]+(-[a-z]+)+[0-9]+$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub region: Option<String>,
}
