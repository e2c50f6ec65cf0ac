//! Google Cloud and Neo4j Aura over HTTP: credentials, retries, long-running operations, and the calls that `MemCloud` makes.
//!
//! A [`Cloud`] holds connections and credentials. It hands out one client per API, each bound to the project and region that it
//! works in. Every call obeys the [`Patience`] of its `Cloud`. What is retried is one table, in `retry.rs`.
//!
//! The APIs are called as plain REST: string enums can be held against Google's published schemas, one setting moves every API
//! to another base, and Aura and Service Networking have no official crate. Credentials come from Google's own crate without its
//! default features, which knows all forms of application default credentials, adds 23 crates to the tree and none of aws-lc;
//! `gcp_auth` knows neither external accounts nor impersonation.

mod api;
mod aura;
mod aura_token;
mod cloud;
mod clusters;
mod compute;
mod connectors;
mod credentials;
mod error;
mod exchange;
mod images;
mod operation;
mod patience;
mod peering;
mod policy;
mod projects;
mod retry;
mod run;
mod secrets;
mod service_accounts;
mod services;
mod sql;
mod transport;
mod wire;

pub use api::Api;
pub use aura::{
    Aura, AuraInstance, AuraStatus, AuraSummary, AuraTenant, CreatedAura, InstanceConfiguration,
    NewAuraInstance,
};
pub use aura_token::AuraKey;
pub use cloud::{Cloud, Config};
pub use clusters::{Autopilot, Cluster, ClusterStatus, Clusters, IpAllocation, MasterAuth, ReleaseChannel};
pub use compute::{
    Address, Allowed, AttachedDisk, Collection, Compute, DailySchedule, Disk, Firewall, Machine,
    MachineAccount, MachineInterface, MachineScheduling, MachineStatus, Metadata, MetadataItem, Nat, Network,
    NewDisk, Peer, Retention, Router, Routing, Schedule, SerialOutput, ShieldedMachine, SnapshotPolicy,
    SnapshotSchedule, Subnetwork, Tags,
};
pub use connectors::{Connector, ConnectorState, Connectors};
pub use credentials::CredentialSource;
pub use error::{Error, ErrorKind, OrNone};
pub use images::{DockerRepository, Images, RemoteRepository, Repository};
pub use operation::{Operation, Progress};
pub use patience::{Pace, Patience};
pub use peering::{Connection, Peering};
pub use policy::{Binding, Policy};
pub use projects::{Project, ProjectInfo};
pub use run::{
    Condition, ConditionState, Container, ContainerPort, Egress, EnvVar, HttpGet, Ingress, NetworkInterface,
    Probe, Readiness, Resources, Revision, Run, Scaling, SecretItem, SecretKeyRef, SecretVolume, Service,
    SqlVolume, TcpSocket, Template, Traffic, ValueSource, Volume, VolumeMount, VpcAccess,
};
pub use secrets::{Secret, SecretVersion, Secrets, VersionState};
pub use service_accounts::{ServiceAccount, ServiceAccounts};
pub use services::Services;
pub use sql::{
    BackupConfiguration, Database, IpAddress, IpConfiguration, Settings, Sql, SqlInstance, SqlState, Tier,
    User,
};
pub use wire::{Int64, same_name};
