//! The APIs of this cloud.

/// One API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Run,
    Sql,
    Secrets,
    Accounts,
    Projects,
    Services,
    Compute,
    Peering,
    Connectors,
    Clusters,
    Images,
    Aura,
}

impl Api {
    /// In the order of the variants.
    pub(crate) const ALL: [Self; 12] = [
        Self::Run,
        Self::Sql,
        Self::Secrets,
        Self::Accounts,
        Self::Projects,
        Self::Services,
        Self::Compute,
        Self::Peering,
        Self::Connectors,
        Self::Clusters,
        Self::Images,
        Self::Aura,
    ];

    /// The API with this host.
    pub(crate) fn at(host: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.host() == host)
    }

    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::Run => "run.googleapis.com",
            Self::Sql => "sqladmin.googleapis.com",
            Self::Secrets => "secretmanager.googleapis.com",
            Self::Accounts => "iam.googleapis.com",
            Self::Projects => "cloudresourcemanager.googleapis.com",
            Self::Services => "serviceusage.googleapis.com",
            Self::Compute => "compute.googleapis.com",
            Self::Peering => "servicenetworking.googleapis.com",
            Self::Connectors => "vpcaccess.googleapis.com",
            Self::Clusters => "container.googleapis.com",
            Self::Images => "artifactregistry.googleapis.com",
            Self::Aura => "api.neo4j.io",
        }
    }

    /// Its published description.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Run => include_str!("../schemas/run.v2.json"),
            Self::Sql => include_str!("../schemas/sqladmin.v1.json"),
            Self::Secrets => include_str!("../schemas/secretmanager.v1.json"),
            Self::Accounts => include_str!("../schemas/iam.v1.json"),
            Self::Projects => include_str!("../schemas/cloudresourcemanager.v3.json"),
            Self::Services => include_str!("../schemas/serviceusage.v1.json"),
            Self::Compute => include_str!("../schemas/compute.v1.json"),
            Self::Peering => include_str!("../schemas/servicenetworking.v1.json"),
            Self::Connectors => include_str!("../schemas/vpcaccess.v1.json"),
            Self::Clusters => include_str!("../schemas/container.v1.json"),
            Self::Images => include_str!("../schemas/artifactregistry.v1.json"),
            Self::Aura => include_str!("../schemas/aura.v1.json"),
        }
    }

    /// Whether the project must have enabled it. The others are always on, or are not Google's.
    pub(crate) fn must_be_enabled(self) -> bool {
        !matches!(self, Self::Projects | Self::Services | Self::Aura)
    }

    /// Whether its methods need a project with billing.
    pub(crate) fn is_billed(self) -> bool {
        self.must_be_enabled() && self != Self::Accounts
    }
}
