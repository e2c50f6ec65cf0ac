//! Instances: what is wanted of them, and what they are.

mod name;
mod settings;
mod state;

use memcloud_domain::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

pub use name::{InvalidName, Name};
pub use settings::{Connection, Llm, Settings};
pub use state::{Reason, State, Wanted};

use crate::{InstanceId, OrganizationId};

/// What an instance keeps its memory in.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Topology {
    /// In its data directory.
    Embedded,
    /// In PostgreSQL.
    Postgres,
    /// Episodes in Neo4j; records in PostgreSQL where that is given, and in its data directory otherwise.
    Neo4j,
    /// In Neo4j Aura and PostgreSQL.
    Aura,
    /// In Neo4j on a virtual machine and in PostgreSQL, both in a private network.
    Vm,
    /// In Neo4j and PostgreSQL of a Kubernetes cluster.
    Gke,
}

impl Topology {
    /// What the connections of an instance make it at this target. `google` makes the databases that are not given.
    pub fn of(target: TargetKind, settings: &Settings) -> Self {
        match (target, &settings.neo4j, &settings.postgres) {
            (TargetKind::Google, Some(_), _) => Self::Aura,
            (TargetKind::Google, None, _) | (TargetKind::Local, None, Some(_)) => Self::Postgres,
            (TargetKind::Local, Some(_), _) => Self::Neo4j,
            (TargetKind::Local, None, None) => Self::Embedded,
        }
    }
}

/// Where an instance runs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum TargetKind {
    /// As a process of this machine.
    Local,
    /// On Google Cloud.
    Google,
}

/// A memory server that the control plane made or adopted.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What people call it; no other instance of the organization that is not removed has the name.
    pub name: Name,
    /// Where it runs.
    pub target: TargetKind,
    /// What it keeps its memory in.
    pub topology: Topology,
    /// What it should be.
    pub wanted: Wanted,
    /// What it is.
    pub state: State,
    /// Why it is that, where that needs a reason.
    pub reason: Option<Reason>,
    /// Where it listens, once it has an address.
    pub url: Option<String>,
    /// The version of its program, as it says itself.
    pub version: Option<String>,
    /// Whether it has a language model.
    pub has_llm: bool,
    /// What its target keeps about it: for `local` its folder, its port and its program. No secret is in there.
    pub placement: serde_json::Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub changed_at: Timestamp,
}
