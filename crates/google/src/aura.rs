//! Neo4j Aura. Its API is known from Neo4j's own clients: there is no published schema.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::transport::Call;
use crate::wire::Segment;
use crate::{Api, Cloud, Error, ErrorKind, OrNone};

const API: Api = Api::Aura;

/// The instances of Aura that a key can see.
#[derive(Clone, Debug)]
pub struct Aura {
    cloud: Cloud,
}

/// What a new instance is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NewAuraInstance {
    /// The major version of Neo4j.
    pub version: String,
    /// A region of Google.
    pub region: String,
    /// Such as `1GB`.
    pub memory: String,
    /// Its name, which another instance may have as well.
    pub name: String,
    /// Such as `free-db` or `professional-db`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The project of Aura that it belongs to and is billed to.
    pub tenant_id: String,
    /// `gcp`.
    pub cloud_provider: String,
}

/// An instance that was created. This is the only time that its password is shown.
#[derive(Clone, Debug, Deserialize)]
pub struct CreatedAura {
    /// Its id.
    pub id: String,
    /// Where it answers, to be passed on unchanged.
    pub connection_url: String,
    /// The name of its user.
    pub username: String,
    /// The password of its user.
    pub password: SecretString,
}

/// An instance as lists show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AuraSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The project of Aura that it belongs to.
    pub tenant_id: String,
}

/// An instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AuraInstance {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub status: AuraStatus,
    /// The project of Aura that it belongs to.
    pub tenant_id: String,
    /// Where it answers.
    pub connection_url: Option<String>,
    /// A region of Google.
    pub region: String,
    /// Such as `free-db`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Such as `1GB`.
    pub memory: Option<String>,
}

/// Whether an instance runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum AuraStatus {
    /// It does.
    Running,
    /// It does not, and is billed less.
    Paused,
    /// Aura stopped it.
    Suspended,
    /// It is going.
    Destroying,
    /// It could not be filled.
    LoadingFailed,
    /// On the way from one of these to another, in the words of Aura.
    Changing(String),
    /// It was not said.
    #[default]
    Unknown,
}

impl From<String> for AuraStatus {
    fn from(status: String) -> Self {
        match status.as_str() {
            "running" => Self::Running,
            "paused" => Self::Paused,
            "suspended" => Self::Suspended,
            "destroying" | "deleting" => Self::Destroying,
            "loading failed" => Self::LoadingFailed,
            "" => Self::Unknown,
            _ => Self::Changing(status),
        }
    }
}

impl fmt::Display for AuraStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Destroying => "destroying",
            Self::LoadingFailed => "loading failed",
            Self::Changing(status) => status,
            Self::Unknown => "unknown",
        })
    }
}

/// A project of Aura.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AuraTenant {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may create; only where one project is read.
    pub instance_configurations: Vec<InstanceConfiguration>,
}

/// What a project may create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct InstanceConfiguration {
    /// `gcp` or another one.
    pub cloud_provider: String,
    /// The region.
    pub region: String,
    /// Such as `free-db`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Such as `1GB`.
    pub memory: String,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

impl Cloud {
    /// Neo4j Aura, if there is a key for it.
    pub fn aura(&self) -> Result<Aura, Error> {
        match self.shared.aura {
            Some(_) => Ok(Aura::new(self.clone())),
            None => Err(Error::new(
                ErrorKind::Credentials,
                "there is no key for Neo4j Aura",
                "set AURA_CLIENT_ID and AURA_CLIENT_SECRET, or give the connection string of your own Neo4j",
            )),
        }
    }
}

impl Aura {
    fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        self.cloud.send::<Envelope<T>>(call).await.map(|envelope| envelope.data)
    }

    fn path(id: &str) -> String {
        format!("v1/instances/{}", Segment(id))
    }

    /// The projects that the key can see.
    pub async fn tenants(&self) -> Result<Vec<AuraTenant>, Error> {
        self.call(Call::get(API, "v1/tenants")).await
    }

    /// A project, with what it may create.
    pub async fn tenant(&self, id: &str) -> Result<AuraTenant, Error> {
        self.call(Call::get(API, format!("v1/tenants/{}", Segment(id)))).await
    }

    /// The instances of a project.
    pub async fn list(&self, tenant: &str) -> Result<Vec<AuraSummary>, Error> {
        self.call(Call::get(API, "v1/instances").query("tenantId", tenant)).await
    }

    /// Creates an instance. Each call creates one that is billed, so it is not sent again after a lost answer: the error is then
    /// an unknown outcome, and the password of the instance that may be there is lost.
    pub async fn create(&self, instance: &NewAuraInstance) -> Result<CreatedAura, Error> {
        self.call(Call::post(API, "v1/instances").body(instance).once()).await
    }

    /// Reads an instance.
    pub async fn get(&self, id: &str) -> Result<AuraInstance, Error> {
        self.call(Call::get(API, Self::path(id))).await
    }

    /// Begins to delete an instance with all data.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        self.cloud.send::<Value>(Call::delete(API, Self::path(id))).await.map(drop)
    }

    /// Begins to pause an instance.
    pub async fn pause(&self, id: &str) -> Result<(), Error> {
        let call = Call::post(API, format!("{}/pause", Self::path(id))).body(json!({}));
        self.cloud.send::<Value>(call).await.map(drop)
    }

    /// Begins to resume an instance.
    pub async fn resume(&self, id: &str) -> Result<(), Error> {
        let call = Call::post(API, format!("{}/resume", Self::path(id))).body(json!({}));
        self.cloud.send::<Value>(call).await.map(drop)
    }

    /// Waits until an instance has this status. `progress` gets the status after each poll.
    pub async fn await_status(
        &self,
        id: &str,
        wanted: &AuraStatus,
        mut progress: impl FnMut(&AuraStatus) + Send,
    ) -> Result<AuraInstance, Error> {
        let found = self.until(id, &mut progress, |found| match found {
            Some(instance) => instance.status == *wanted || instance.status == AuraStatus::LoadingFailed,
            None => true,
        });
        match found.await? {
            Some(instance) if instance.status == *wanted => Ok(instance),
            Some(instance) => {
                let message = format!("the Aura instance {id} is {}", instance.status);
                Err(Error::new(ErrorKind::Failed, message, "check it in the console of Aura"))
            }
            None => {
                let message = format!("the Aura instance {id} is gone");
                Err(Error::new(ErrorKind::NotFound, message, "create another one"))
            }
        }
    }

    /// Waits until an instance is deleted.
    pub async fn await_gone(
        &self,
        id: &str,
        mut progress: impl FnMut(&AuraStatus) + Send,
    ) -> Result<(), Error> {
        self.until(id, &mut progress, |found| found.is_none()).await.map(drop)
    }

    async fn until(
        &self,
        id: &str,
        progress: &mut (impl FnMut(&AuraStatus) + Send),
        is_over: impl Fn(Option<&AuraInstance>) -> bool + Send,
    ) -> Result<Option<AuraInstance>, Error> {
        let mut pauses = self.cloud.pauses();
        loop {
            let found = self.get(id).await.or_none()?;
            if is_over(found.as_ref()) {
                return Ok(found);
            }
            if let Some(instance) = &found {
                progress(&instance.status);
            }
            pauses.next(Duration::ZERO, Error::timed_out(API)).await?;
        }
    }
}
