//! Where instances run. A [`Target`] turns what is asked into plans, and plans into steps.

mod draft;
pub mod local;
mod ports;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{Display, EnumString, IntoStaticStr};

pub use draft::{Alternative, Check, CheckState, Draft, Outlook, Price, PricePart};
pub use ports::{ConnectionCheck, SettingsSource};

use crate::instances::{Instance, Reason, TargetKind};
use crate::operations::{OperationKind, Step};
use crate::{Error, OrganizationId};

/// A place where instances run.
#[async_trait]
pub trait Target: Send + Sync {
    /// What would be done, and what speaks against it. `request` is what the caller gives in addition, such as whether the data
    /// go as well; for a new instance it is the place that was asked for.
    async fn plan(&self, kind: OperationKind, instance: &Instance, request: &Value) -> Draft;

    /// The step of this name, of any plan that was ever made.
    fn step(&self, name: &str) -> Option<Arc<dyn Step>>;

    /// Whether the instance is there now.
    async fn observe(&self, instance: &Instance) -> Observed;

    /// What is there and belongs to no instance.
    async fn leftovers(&self, instances: &[Instance]) -> Vec<Leftover>;

    /// The log of an instance from this byte on, and where the next part begins. At most a megabyte.
    async fn log(&self, instance: &Instance, from: LogPosition) -> Result<LogPart, Reason>;
}

/// What an instance was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It runs.
    Alive,
    /// It does not.
    Gone,
}

/// What kind of thing a leftover is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum LeftoverKind {
    /// A folder with data or logs.
    Folder,
    /// A running process.
    Process,
    /// A port that a process without an owner listens on.
    Port,
}

/// Something that is there and belongs to no instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// Whose instance it was or is; `None` where that is not known.
    pub organization: Option<OrganizationId>,
    /// Where it is: a path, the number of a process, an address.
    pub place: String,
    /// Why it is there, as far as that is known.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

/// Where in a log to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPosition {
    /// From this byte on.
    Byte(u64),
    /// The last lines, about this many bytes.
    Last(u64),
}

/// A part of a log: whole lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// The lines.
    pub text: String,
    /// Where the next part begins.
    pub next: u64,
}

/// The targets that this console has.
#[derive(Clone)]
pub struct Targets {
    local: Arc<dyn Target>,
    google: Option<Arc<dyn Target>>,
}

impl Targets {
    /// This machine as the only target.
    pub fn new(local: Arc<dyn Target>) -> Self {
        Self { local, google: None }
    }

    /// The same with Google Cloud as another target.
    #[must_use]
    pub fn with_google(self, google: Arc<dyn Target>) -> Self {
        Self { google: Some(google), ..self }
    }

    /// The target of a kind.
    pub fn get(&self, kind: TargetKind) -> Result<&Arc<dyn Target>, Error> {
        match kind {
            TargetKind::Local => Some(&self.local),
            TargetKind::Google => self.google.as_ref(),
        }
        .ok_or(Error::NoTarget(kind))
    }

    /// All of them, with their kinds.
    pub fn all(&self) -> impl Iterator<Item = (TargetKind, &Arc<dyn Target>)> {
        let google = self.google.as_ref().map(|google| (TargetKind::Google, google));
        std::iter::once((TargetKind::Local, &self.local)).chain(google)
    }

    /// The step of this name.
    pub fn step(&self, kind: TargetKind, name: &str) -> Option<Arc<dyn Step>> {
        self.get(kind).ok()?.step(name)
    }
}
