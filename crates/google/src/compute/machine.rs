//! Machines and their disks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::Int64;

/// A disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The full name of its kind, such as `…/diskTypes/pd-balanced`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Gigabytes.
    pub size_gb: Int64,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Read only: the machines that have it.
    #[serde(skip_serializing)]
    pub users: Vec<String>,
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The name of its kind, such as `zones/us-central1-a/machineTypes/e2-medium`.
    pub machine_type: String,
    /// What firewall rules know it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its disks, the one that it starts from first.
    pub disks: Vec<AttachedDisk>,
    /// Its interfaces.
    pub network_interfaces: Vec<MachineInterface>,
    /// The accounts that its programs run as.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<MachineAccount>,
    /// What its programs are given. All who may see the machine can read it: no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What it checks when it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shielded_instance_config: Option<ShieldedMachine>,
    /// What happens to it when Google works on its hardware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<MachineScheduling>,
    /// Read only: whether it runs.
    #[serde(skip_serializing)]
    pub status: MachineStatus,
}

/// Whether a machine runs. That says nothing about its programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MachineStatus {
    /// It does.
    Running,
    /// It is stopped.
    Terminated,
    /// On the way from one to the other, or any other.
    #[default]
    #[serde(other)]
    Changing,
}

/// What firewall rules know a machine by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tags {
    /// The tags.
    pub items: Vec<String>,
}

/// A disk of a machine: a new one, or one that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachedDisk {
    /// Whether the machine starts from it.
    pub boot: bool,
    /// Whether it is deleted with the machine.
    pub auto_delete: bool,
    /// Its name within the machine.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub device_name: String,
    /// The full name of a disk that is there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// What a new one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initialize_params: Option<NewDisk>,
}

/// A disk that is made with its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NewDisk {
    /// What is on it, such as `projects/cos-cloud/global/images/family/cos-stable`.
    pub source_image: String,
    /// Gigabytes.
    pub disk_size_gb: Int64,
    /// The name of its kind.
    pub disk_type: String,
}

/// An interface of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineInterface {
    /// The full name of the part of a network.
    pub subnetwork: String,
    /// Its address in it.
    #[serde(rename = "networkIP", skip_serializing_if = "String::is_empty")]
    pub address: String,
}

/// An account that programs run as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineAccount {
    /// The account.
    pub email: String,
    /// What its tokens can be used for.
    pub scopes: Vec<String>,
}

/// What programs of a machine are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// The entries.
    pub items: Vec<MetadataItem>,
}

/// One entry of what programs are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetadataItem {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// What a machine checks when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ShieldedMachine {
    /// Only signed systems start.
    pub enable_secure_boot: bool,
    /// Keys are in a virtual module.
    pub enable_vtpm: bool,
    /// What started is compared with what started before.
    pub enable_integrity_monitoring: bool,
}

/// What happens to a machine when Google works on its hardware.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MachineScheduling {
    /// Whether it is started again after a crash.
    pub automatic_restart: bool,
    /// `MIGRATE`: it goes on on other hardware.
    pub on_host_maintenance: String,
}

/// When snapshots are made, and how long they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotSchedule {
    /// Its name.
    pub name: String,
    /// For people, and whose it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What is done.
    pub snapshot_schedule_policy: SnapshotPolicy,
}

/// When snapshots are made, and how long they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotPolicy {
    /// When.
    pub schedule: Schedule,
    /// How long.
    pub retention_policy: Retention,
}

/// When snapshots are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Schedule {
    /// Each day.
    pub daily_schedule: DailySchedule,
}

/// A time of each day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DailySchedule {
    /// 1.
    pub days_in_cycle: u8,
    /// Full hours in UTC, such as `04:00`.
    pub start_time: String,
}

/// How long snapshots are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Retention {
    /// For so many days.
    pub max_retention_days: u16,
    /// `APPLY_RETENTION_POLICY`: also after the disk is deleted.
    pub on_source_disk_delete: String,
}
