//! Cloud SQL.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::transport::Call;
use crate::wire::{Int64, Segment};
use crate::{Api, Cloud, Error, ErrorKind, Operation};

const API: Api = Api::Sql;

/// The database servers of a project. One works on one operation at a time: another one is refused, and sent again.
#[derive(Clone, Debug)]
pub struct Sql {
    cloud: Cloud,
    project: String,
}

/// A database server. The fields from `state` on are read only, and are not sent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SqlInstance {
    /// Its name, which stays blocked for about a week after it was deleted.
    pub name: String,
    /// Where it is.
    pub region: String,
    /// Such as `POSTGRES_16`.
    pub database_version: String,
    /// The password of `postgres`. Sent, and never read.
    #[serde(serialize_with = "exposed", skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub root_password: Option<SecretString>,
    /// How it runs.
    pub settings: Settings,
    /// Whether it runs.
    #[serde(skip_serializing)]
    pub state: SqlState,
    /// `project:region:name`.
    #[serde(skip_serializing)]
    pub connection_name: String,
    /// Where it is in networks.
    #[serde(skip_serializing)]
    pub ip_addresses: Vec<IpAddress>,
}

#[expect(clippy::ref_option, reason = "serde passes references")]
fn exposed<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
}

/// Whether a database server runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SqlState {
    /// It does, or was stopped by its owner.
    Runnable,
    /// It is being made.
    PendingCreate,
    /// It is being deleted.
    PendingDelete,
    /// Google works on it.
    Maintenance,
    /// Google stopped it, for example for billing.
    Suspended,
    /// It could not be made. It may be billed.
    Failed,
    /// Any other.
    #[default]
    #[serde(other)]
    Unknown,
}

/// How a database server runs. In a change, only what is set is changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// The state that was read. Sent, it detects that another caller changed the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings_version: Option<Int64>,
    /// `ENTERPRISE`: without it, new versions of `PostgreSQL` are in an edition without small tiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// The machine, such as `db-f1-micro`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// `ZONAL` or `REGIONAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_type: Option<String>,
    /// `PD_SSD` or `PD_HDD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_disk_type: Option<String>,
    /// Gigabytes, at least 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_disk_size_gb: Option<Int64>,
    /// Whether the disk grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_auto_resize: Option<bool>,
    /// `ALWAYS`, or `NEVER` to stop it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation_policy: Option<String>,
    /// Whether it cannot be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_protection_enabled: Option<bool>,
    /// `REQUIRED`: only connections through Google's own proxies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector_enforcement: Option<String>,
    /// Its addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_configuration: Option<IpConfiguration>,
    /// Its backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_configuration: Option<BackupConfiguration>,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user_labels: BTreeMap<String, String>,
}

/// The addresses of a database server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IpConfiguration {
    /// Whether it has a public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4_enabled: Option<bool>,
    /// The full name of the network in which it has a private address. Once set, it cannot be unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_network: Option<String>,
    /// The name of the range from which that address is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocated_ip_range: Option<String>,
    /// `ENCRYPTED_ONLY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_mode: Option<String>,
    /// `GOOGLE_MANAGED_INTERNAL_CA`: the sockets of Cloud Run know no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_ca_mode: Option<String>,
}

/// The backups of a database server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupConfiguration {
    /// Whether there is one a day.
    pub enabled: bool,
    /// When, in UTC, such as `03:00`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub start_time: String,
    /// Whether every moment can be restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point_in_time_recovery_enabled: Option<bool>,
}

/// An address of a database server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IpAddress {
    /// The address.
    pub ip_address: String,
    /// `PRIMARY` is public, `PRIVATE` is not.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Database {
    /// Its name.
    pub name: String,
}

/// A user of databases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct User {
    /// Its name.
    pub name: String,
}

/// A kind of machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Tier {
    /// Its name.
    pub tier: String,
    /// Bytes of memory.
    #[serde(rename = "RAM")]
    pub ram: Int64,
    /// Where it is available.
    pub region: Vec<String>,
}

impl SqlInstance {
    /// Its private address, if it has one.
    pub fn private_address(&self) -> Option<&str> {
        let private = self.ip_addresses.iter().find(|address| address.kind == "PRIVATE");
        private.map(|address| address.ip_address.as_str())
    }
}

impl Cloud {
    /// Cloud SQL.
    pub fn sql(&self, project: &str) -> Sql {
        Sql::new(self.clone(), project)
    }
}

impl Sql {
    fn new(cloud: Cloud, project: &str) -> Self {
        Self { cloud, project: format!("v1/projects/{}", Segment(project)) }
    }

    fn path(&self, instance: &str) -> String {
        format!("{}/instances/{}", self.project, Segment(instance))
    }

    async fn begin(&self, call: Call) -> Result<Operation, Error> {
        let operations = format!("{}/operations", self.project);
        Operation::named(API, &operations, self.cloud.send::<Value>(call).await?)
    }

    /// Creates a database server, which takes 5 to 15 minutes.
    pub async fn insert(&self, instance: &SqlInstance) -> Result<Operation, Error> {
        let mut call = Call::post(API, format!("{}/instances", self.project)).body(instance);
        if let Some(password) = &instance.root_password {
            call = call.hiding(password);
        }
        self.begin(call).await
    }

    /// Reads a database server.
    pub async fn get(&self, name: &str) -> Result<SqlInstance, Error> {
        self.cloud.send(Call::get(API, self.path(name))).await
    }

    /// Waits until a database server runs, or until it is clear that it will not. `progress` gets its state after each poll.
    pub async fn await_runnable(
        &self,
        name: &str,
        mut progress: impl FnMut(SqlState) + Send,
    ) -> Result<SqlInstance, Error> {
        let mut pauses = self.cloud.pauses();
        loop {
            let server = self.get(name).await?;
            match server.state {
                SqlState::Runnable => return Ok(server),
                SqlState::Failed => {
                    let message = format!("Cloud SQL could not make the database server {name}");
                    return Err(Error::new(ErrorKind::Failed, message, "delete it, and make another one"));
                }
                state => progress(state),
            }
            pauses.next(Duration::ZERO, Error::timed_out(API)).await?;
        }
    }

    /// All that fit a filter such as `settings.userLabels.managed-by:memcloud`.
    pub async fn list(&self, filter: &str) -> Result<Vec<SqlInstance>, Error> {
        let call = Call::get(API, format!("{}/instances", self.project)).query("filter", filter);
        self.cloud.list(call, "items").await
    }

    /// Changes what is set in the settings.
    pub async fn patch(&self, name: &str, settings: &Settings) -> Result<Operation, Error> {
        self.begin(Call::patch(API, self.path(name)).body(json!({"settings": settings}))).await
    }

    /// Deletes a database server with all data. With a description, a last backup is made and kept, which is billed.
    pub async fn delete(&self, name: &str, final_backup: Option<&str>) -> Result<Operation, Error> {
        let mut call = Call::delete(API, self.path(name));
        if let Some(description) = final_backup {
            call = call.query("enableFinalBackup", "true").query("finalBackupDescription", description);
        }
        self.begin(call).await
    }

    /// Creates a database.
    pub async fn insert_database(&self, instance: &str, name: &str) -> Result<Operation, Error> {
        let body = json!({"name": name, "charset": "UTF8", "collation": "en_US.UTF8"});
        self.begin(Call::post(API, format!("{}/databases", self.path(instance))).body(body)).await
    }

    /// Reads a database. A server that does not run is not found.
    pub async fn database(&self, instance: &str, name: &str) -> Result<Database, Error> {
        self.cloud.send(Call::get(API, format!("{}/databases/{}", self.path(instance), Segment(name)))).await
    }

    /// Deletes a database with its data.
    pub async fn delete_database(&self, instance: &str, name: &str) -> Result<Operation, Error> {
        self.begin(Call::delete(API, format!("{}/databases/{}", self.path(instance), Segment(name)))).await
    }

    /// All users. A server that does not run is not found.
    pub async fn users(&self, instance: &str) -> Result<Vec<User>, Error> {
        self.cloud.list(Call::get(API, format!("{}/users", self.path(instance))), "items").await
    }

    /// Creates a user, or sets the password of one that is there.
    pub async fn insert_user(
        &self,
        instance: &str,
        name: &str,
        password: &SecretString,
    ) -> Result<Operation, Error> {
        let path = format!("{}/users", self.path(instance));
        self.begin(with_user(Call::post(API, path), name, password)).await
    }

    /// Sets the password of a user.
    pub async fn set_password(
        &self,
        instance: &str,
        user: &str,
        password: &SecretString,
    ) -> Result<Operation, Error> {
        let call = Call::new(API, Method::PUT, format!("{}/users", self.path(instance)));
        self.begin(with_user(call.query("name", user), user, password)).await
    }

    /// Deletes a user that owns nothing.
    pub async fn delete_user(&self, instance: &str, user: &str) -> Result<Operation, Error> {
        let call = Call::delete(API, format!("{}/users", self.path(instance)));
        self.begin(call.query("name", user)).await
    }

    /// The kinds of machine that this project can have.
    pub async fn tiers(&self) -> Result<Vec<Tier>, Error> {
        self.cloud.list(Call::get(API, format!("{}/tiers", self.project)), "items").await
    }
}

fn with_user(call: Call, name: &str, password: &SecretString) -> Call {
    let body = json!({"name": name, "password": password.expose_secret(), "type": "BUILT_IN"});
    call.body(body).hiding(password)
}
