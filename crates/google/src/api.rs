//! The APIs, by the hosts that serve them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An API, which is one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// Service Usage.
    Services,
    /// Resource Manager.
    Projects,
    /// Identity and Access Management.
    Iam,
    /// Secret Manager.
    Secrets,
    /// Cloud SQL Admin.
    Sql,
    /// Cloud Run.
    Run,
    /// Compute Engine.
    Compute,
    /// Service Networking.
    Peering,
    /// Serverless VPC Access.
    Connectors,
    /// Kubernetes Engine.
    Clusters,
    /// Artifact Registry.
    Images,
    /// Neo4j Aura.
    Aura,
}

impl Api {
    /// The host that serves it, which is also the name that Service Usage knows it by.
    pub fn host(self) -> &'static str {
        match self {
            Self::Services => "serviceusage.googleapis.com",
            Self::Projects => "cloudresourcemanager.googleapis.com",
            Self::Iam => "iam.googleapis.com",
            Self::Secrets => "secretmanager.googleapis.com",
            Self::Sql => "sqladmin.googleapis.com",
            Self::Run => "run.googleapis.com",
            Self::Compute => "compute.googleapis.com",
            Self::Peering => "servicenetworking.googleapis.com",
            Self::Connectors => "vpcaccess.googleapis.com",
            Self::Clusters => "container.googleapis.com",
            Self::Images => "artifactregistry.googleapis.com",
            Self::Aura => "api.neo4j.io",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Services => "Service Usage",
            Self::Projects => "Resource Manager",
            Self::Iam => "IAM",
            Self::Secrets => "Secret Manager",
            Self::Sql => "Cloud SQL",
            Self::Run => "Cloud Run",
            Self::Compute => "Compute Engine",
            Self::Peering => "Service Networking",
            Self::Connectors => "Serverless VPC Access",
            Self::Clusters => "Kubernetes Engine",
            Self::Images => "Artifact Registry",
            Self::Aura => "Neo4j Aura",
        })
    }
}
