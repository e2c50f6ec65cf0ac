//! Cloud Run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::policy::PolicyOf;
use crate::transport::Call;
use crate::wire::{Int64, Segment, last_segment};
use crate::{Api, Cloud, Error, ErrorKind, Operation, OrNone};

const API: Api = Api::Run;

/// The services of a project in one region.
#[derive(Clone, Debug)]
pub struct Run {
    cloud: Cloud,
    folder: String,
}

/// A service. The fields from `name` on are read only, and are not sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// From where it can be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// Whether all may call it without a policy that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoker_iam_disabled: Option<bool>,
    /// How its instances run.
    pub template: Template,
    /// Which revisions get how much traffic.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<Traffic>,
    /// How many instances it has, over all revisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// The state that was read. Sent, it detects that another caller changed the service.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// With the id or the number of the project.
    #[serde(skip_serializing)]
    pub name: String,
    /// Where it answers.
    #[serde(skip_serializing)]
    pub uri: String,
    /// Whether it is still becoming what was asked.
    #[serde(skip_serializing)]
    pub reconciling: bool,
    /// Whether it serves.
    #[serde(skip_serializing)]
    pub terminal_condition: Option<Condition>,
    /// What it depends on.
    #[serde(skip_serializing)]
    pub conditions: Vec<Condition>,
    /// Counts what was asked.
    #[serde(skip_serializing)]
    pub generation: Int64,
    /// The generation that `terminal_condition` is about.
    #[serde(skip_serializing)]
    pub observed_generation: Int64,
    /// The name of the newest revision.
    #[serde(skip_serializing)]
    pub latest_created_revision: String,
    /// The name of the newest revision that could serve.
    #[serde(skip_serializing)]
    pub latest_ready_revision: String,
}

/// From where a service can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ingress {
    /// From everywhere.
    #[serde(rename = "INGRESS_TRAFFIC_ALL")]
    All,
    /// From the project's own networks.
    #[serde(rename = "INGRESS_TRAFFIC_INTERNAL_ONLY")]
    Internal,
    /// From nowhere.
    #[serde(rename = "INGRESS_TRAFFIC_NONE")]
    None,
    /// Any other.
    #[serde(other)]
    Unknown,
}

/// How instances run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Template {
    /// The name of the revision; Google chooses one where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The labels of the revision.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The account that it runs as.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_account: String,
    /// `EXECUTION_ENVIRONMENT_GEN2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub execution_environment: String,
    /// The most time of a request, such as `300s`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timeout: String,
    /// The most requests at once to one instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_instance_request_concurrency: Option<u32>,
    /// How many instances there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// What runs in an instance.
    pub containers: Vec<Container>,
    /// What containers can mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// How it reaches a private network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_access: Option<VpcAccess>,
}

/// How many instances there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scaling {
    /// At least this many, which are billed while idle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_instance_count: Option<u32>,
    /// At most this many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_instance_count: Option<u32>,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name within the service.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The image, best with its digest.
    pub image: String,
    /// What is run instead of the image's own command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The arguments of the command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The port that it listens on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ContainerPort>,
    /// Its environment. `PORT` is set by Cloud Run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// What it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// When it counts as started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_probe: Option<Probe>,
    /// When it is started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,
    /// Where volumes are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<VolumeMount>,
}

/// A port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// `http1` or `h2c`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its number.
    pub container_port: u16,
}

/// A variable of the environment: a value, or a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where its value is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_source: Option<ValueSource>,
}

impl EnvVar {
    /// A variable with this value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(value.into()), value_source: None }
    }

    /// A variable with the content of a version of a secret.
    pub fn secret(name: impl Into<String>, secret: impl Into<String>, version: impl Into<String>) -> Self {
        let secret_key_ref = SecretKeyRef { secret: secret.into(), version: version.into() };
        Self { name: name.into(), value: None, value_source: Some(ValueSource { secret_key_ref }) }
    }
}

/// Where a value is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ValueSource {
    /// In a secret.
    pub secret_key_ref: SecretKeyRef,
}

/// A version of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretKeyRef {
    /// The id of the secret.
    pub secret: String,
    /// The number of the version.
    pub version: String,
}

/// What a container may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Such as `cpu: 1` and `memory: 1Gi`.
    pub limits: BTreeMap<String, String>,
    /// Whether the processor is taken away, and not billed, between requests.
    pub cpu_idle: bool,
    /// Whether it has more of the processor while it starts.
    pub startup_cpu_boost: bool,
}

/// How it is found out whether a container is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// A path that must answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HttpGet>,
    /// A port that must accept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_socket: Option<TcpSocket>,
    /// Seconds before the first probe, at most 240.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_delay_seconds: Option<u32>,
    /// Seconds between probes, at most 240.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_seconds: Option<u32>,
    /// Seconds that a probe may take, fewer than between probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// How many probes may fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_threshold: Option<u32>,
}

/// A path that must answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpGet {
    /// The path.
    pub path: String,
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A port that must accept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TcpSocket {
    /// The port.
    pub port: u16,
}

/// Where a volume is in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    /// The volume.
    pub name: String,
    /// The folder, which hides what the image has there; `/cloudsql` for databases.
    pub mount_path: String,
}

/// What containers can mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The sockets of databases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_sql_instance: Option<SqlVolume>,
    /// Secrets as files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretVolume>,
}

/// The sockets of databases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SqlVolume {
    /// Connection names, `project:region:instance`.
    pub instances: Vec<String>,
}

/// A secret as files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretVolume {
    /// The id of the secret.
    pub secret: String,
    /// One file per version.
    pub items: Vec<SecretItem>,
}

/// A version of a secret as a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretItem {
    /// The name of the file.
    pub path: String,
    /// The number of the version.
    pub version: String,
}

/// How a service reaches a private network: by a connector, or by interfaces of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VpcAccess {
    /// The full name of a connector.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub connector: String,
    /// What goes through the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    /// Interfaces in the network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network_interfaces: Vec<NetworkInterface>,
}

/// What goes through a private network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Egress {
    /// Everything: what goes to the internet needs address translation there.
    AllTraffic,
    /// What goes to private addresses.
    PrivateRangesOnly,
    /// Any other.
    #[serde(other)]
    Unknown,
}

/// An interface in a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkInterface {
    /// The network.
    pub network: String,
    /// Its part, of at least 64 addresses.
    pub subnetwork: String,
    /// What firewall rules know it by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A share of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// `TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST` or `…_REVISION`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The revision, where it is not the latest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// A name by which the revision has an address of its own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
}

impl Traffic {
    /// Everything to the latest revision that is ready.
    pub fn latest() -> Self {
        let kind = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST".into();
        Self { kind, percent: Some(100), ..Self::default() }
    }

    /// A share to one revision.
    pub fn revision(name: impl Into<String>, percent: u32) -> Self {
        let kind = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION".into();
        Self { kind, revision: name.into(), percent: Some(percent), tag: String::new() }
    }
}

/// One thing that must hold for a service or revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What it is about, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub state: ConditionState,
    /// Why it does not, for people.
    pub message: String,
    /// Why it does not, for services and revisions.
    pub reason: String,
    /// Why it does not, for revisions alone.
    pub revision_reason: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ConditionState {
    /// It holds.
    #[serde(rename = "CONDITION_SUCCEEDED")]
    Succeeded,
    /// It does not, and will not on its own.
    #[serde(rename = "CONDITION_FAILED")]
    Failed,
    /// It is not known yet.
    #[default]
    #[serde(other)]
    Pending,
}

/// A revision.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Revision {
    /// Its name.
    pub name: String,
    /// What must hold for it.
    pub conditions: Vec<Condition>,
    /// What runs in it.
    pub containers: Vec<Container>,
    /// Where its log is, for people.
    pub log_uri: String,
}

/// Whether a service serves what was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// Not yet.
    Pending,
    /// It cannot.
    Failed {
        /// A word for machines, such as `HEALTH_CHECK_CONTAINER_ERROR`.
        reason: String,
        /// For people.
        message: String,
    },
}

impl Condition {
    fn failure(&self) -> (String, String) {
        let reasons = [&self.revision_reason, &self.reason];
        let reason = reasons.into_iter().find(|reason| !reason.is_empty());
        (reason.cloned().unwrap_or_default(), self.message.trim_end_matches('.').to_owned())
    }
}

impl Service {
    /// The part of the name that was chosen.
    pub fn id(&self) -> &str {
        last_segment(&self.name)
    }

    /// Whether it serves what was last asked. An operation that has ended does not say that.
    pub fn readiness(&self) -> Readiness {
        let observed = !self.reconciling && self.observed_generation == self.generation;
        match self.terminal_condition.as_ref().filter(|_| observed) {
            Some(condition) if condition.state == ConditionState::Succeeded => Readiness::Ready,
            Some(condition) if condition.state == ConditionState::Failed => {
                let (reason, message) = condition.failure();
                Readiness::Failed { reason, message }
            }
            _ => Readiness::Pending,
        }
    }
}

impl Cloud {
    /// Cloud Run.
    pub fn run(&self, project: &str, region: &str) -> Run {
        Run::new(self.clone(), project, region)
    }
}

impl Run {
    fn new(cloud: Cloud, project: &str, region: &str) -> Self {
        let (project, region) = (Segment(project), Segment(region));
        Self { cloud, folder: format!("v2/projects/{project}/locations/{region}/services") }
    }

    fn path(&self, id: &str) -> String {
        format!("{}/{}", self.folder, Segment(id))
    }

    /// Creates a service. An id has fewer than 50 lower-case letters, digits and hyphens.
    pub async fn create(&self, id: &str, service: &Service) -> Result<Operation, Error> {
        let mut pauses = self.cloud.pauses();
        loop {
            let call = Call::post(API, &self.folder).query("serviceId", id).body(service);
            let error = match self.begin(call).await {
                Err(error) if error.is_already_exists() => error,
                other => return other,
            };
            // Right after a service was deleted its name is taken although there is nothing of this name.
            if self.get(id).await.or_none()?.is_some() {
                return Err(error);
            }
            pauses.next(Duration::ZERO, error).await?;
        }
    }

    /// Makes a service what is asked, whether it is there or not.
    pub async fn put(&self, id: &str, service: &Service) -> Result<Operation, Error> {
        self.begin(Call::patch(API, self.path(id)).query("allowMissing", "true").body(service)).await
    }

    /// Changes these fields of a service, by the paths of Google's field masks such as `traffic` or `template.scaling`.
    pub async fn patch(&self, id: &str, service: &Service, fields: &[&str]) -> Result<Operation, Error> {
        self.begin(Call::patch(API, self.path(id)).query("updateMask", fields.join(",")).body(service)).await
    }

    /// Deletes a service with all of its revisions.
    pub async fn delete(&self, id: &str) -> Result<Operation, Error> {
        self.begin(Call::delete(API, self.path(id))).await
    }

    async fn begin(&self, call: Call) -> Result<Operation, Error> {
        Operation::named(API, "v2", self.cloud.send::<Value>(call).await?)
    }

    /// Reads a service.
    pub async fn get(&self, id: &str) -> Result<Service, Error> {
        self.cloud.send(Call::get(API, self.path(id))).await
    }

    /// All services.
    pub async fn list(&self) -> Result<Vec<Service>, Error> {
        self.cloud.list(Call::get(API, &self.folder), "services").await
    }

    /// Reads a revision of a service, by its name or full name.
    pub async fn revision(&self, service: &str, revision: &str) -> Result<Revision, Error> {
        let revision = Segment(last_segment(revision));
        self.cloud.send(Call::get(API, format!("{}/revisions/{revision}", self.path(service)))).await
    }

    /// Waits until a service serves what was last asked. `progress` gets what it still waits for.
    pub async fn await_ready(
        &self,
        id: &str,
        mut progress: impl FnMut(&str) + Send,
    ) -> Result<Service, Error> {
        let mut pauses = self.cloud.pauses();
        loop {
            let service = self.get(id).await?;
            match service.readiness() {
                Readiness::Ready => return Ok(service),
                Readiness::Failed { reason, message } => {
                    return Err(self.not_ready(id, &service, reason, message).await);
                }
                Readiness::Pending => {
                    let pending = service.conditions.iter().find(|condition| !condition.message.is_empty());
                    progress(pending.map_or("", |condition| &condition.message));
                }
            }
            pauses.next(Duration::ZERO, Error::timed_out(API)).await?;
        }
    }

    /// Why a service does not serve: its newest revision knows best.
    async fn not_ready(&self, id: &str, service: &Service, reason: String, message: String) -> Error {
        let revision = match service.latest_created_revision.as_str() {
            "" => None,
            name => self.revision(id, name).await.ok(),
        };
        let of_revision = revision.iter().flat_map(|revision| &revision.conditions);
        let failed = of_revision.filter(|condition| condition.state == ConditionState::Failed);
        let failed = failed.map(Condition::failure).find(|(reason, _)| !reason.is_empty());
        let (reason, message) = failed.unwrap_or((reason, message));
        let hint = hint(&reason, revision.as_ref().map_or("", |revision| &revision.log_uri));
        Error::new(ErrorKind::Failed, format!("the service {id} does not serve ({reason}): {message}"), hint)
    }

    /// Gives a member a role on this service alone. False if it had it.
    pub async fn grant(&self, id: &str, role: &str, member: &str) -> Result<bool, Error> {
        self.policy(id).grant(&self.cloud, role, member).await
    }

    /// Takes a role on this service from a member. False if it did not have it, or if the service is gone.
    pub async fn revoke(&self, id: &str, role: &str, member: &str) -> Result<bool, Error> {
        self.policy(id).revoke(&self.cloud, role, member).await
    }

    fn policy(&self, id: &str) -> PolicyOf {
        PolicyOf { api: API, resource: self.path(id) }
    }
}

/// What to do about a revision that cannot serve.
fn hint(reason: &str, log: &str) -> String {
    match reason {
        "SECRETS_ACCESS_CHECK_FAILED" => {
            "grant the account that the service runs as roles/secretmanager.secretAccessor on its secrets".into()
        }
        "CONTAINER_MISSING" => "check the name and digest of the image".into(),
        "CONTAINER_PERMISSION_DENIED"
        | "CONTAINER_IMAGE_UNAUTHORIZED"
        | "CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED" => {
            "grant the service agent of Cloud Run roles/artifactregistry.reader on the repository of the image".into()
        }
        _ if log.is_empty() => "read the log of the service".into(),
        _ => format!("read the log of the service: {log}"),
    }
}
