//! Compute Engine: networks, addresses, disks and machines.

mod machine;
mod network;

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub use machine::{
    AttachedDisk, DailySchedule, Disk, Machine, MachineAccount, MachineInterface, MachineScheduling,
    MachineStatus, Metadata, MetadataItem, NewDisk, Retention, Schedule, ShieldedMachine, SnapshotPolicy,
    SnapshotSchedule, Tags,
};
pub use network::{Address, Allowed, Firewall, Nat, Network, Peer, Router, Routing, Subnetwork};

use crate::transport::Call;
use crate::wire::{Int64, Segment};
use crate::{Api, Cloud, Error, Operation};

const API: Api = Api::Compute;

/// The networks and machines of a project.
#[derive(Clone, Debug)]
pub struct Compute {
    cloud: Cloud,
    project: String,
}

/// All resources of one kind in one place.
#[derive(Clone, Debug)]
pub struct Collection<T> {
    cloud: Cloud,
    /// The project, and the region or zone in it.
    place: String,
    kind: &'static str,
    resource: PhantomData<fn() -> T>,
}

/// A part of what a machine writes to its serial port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SerialOutput {
    /// The text.
    pub contents: String,
    /// Where the next part begins.
    pub next: Int64,
}

impl Cloud {
    /// Compute Engine.
    pub fn compute(&self, project: &str) -> Compute {
        Compute { cloud: self.clone(), project: format!("compute/v1/projects/{}", Segment(project)) }
    }
}

impl Compute {
    fn global<T>(&self, kind: &'static str) -> Collection<T> {
        self.at(format!("{}/global", self.project), kind)
    }

    fn regional<T>(&self, region: &str, kind: &'static str) -> Collection<T> {
        self.at(format!("{}/regions/{}", self.project, Segment(region)), kind)
    }

    fn zonal<T>(&self, zone: &str, kind: &'static str) -> Collection<T> {
        self.at(format!("{}/zones/{}", self.project, Segment(zone)), kind)
    }

    fn at<T>(&self, place: String, kind: &'static str) -> Collection<T> {
        Collection { cloud: self.cloud.clone(), place, kind, resource: PhantomData }
    }

    /// Networks. They have no labels.
    pub fn networks(&self) -> Collection<Network> {
        self.global("networks")
    }

    /// The parts of networks in a region. They have no labels.
    pub fn subnetworks(&self, region: &str) -> Collection<Subnetwork> {
        self.regional(region, "subnetworks")
    }

    /// Firewall rules. They have no labels.
    pub fn firewalls(&self) -> Collection<Firewall> {
        self.global("firewalls")
    }

    /// Ranges of addresses for the networks of Google's own services.
    pub fn global_addresses(&self) -> Collection<Address> {
        self.global("addresses")
    }

    /// Addresses in a region.
    pub fn addresses(&self, region: &str) -> Collection<Address> {
        self.regional(region, "addresses")
    }

    /// Routers. They have no labels.
    pub fn routers(&self, region: &str) -> Collection<Router> {
        self.regional(region, "routers")
    }

    /// Disks.
    pub fn disks(&self, zone: &str) -> Collection<Disk> {
        self.zonal(zone, "disks")
    }

    /// Machines.
    pub fn machines(&self, zone: &str) -> Collection<Machine> {
        self.zonal(zone, "instances")
    }

    /// When snapshots are made of disks.
    pub fn snapshot_schedules(&self, region: &str) -> Collection<SnapshotSchedule> {
        self.regional(region, "resourcePolicies")
    }

    /// The names of the zones of a region that are up.
    pub async fn zones(&self, region: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Zone {
            name: String,
            #[serde(default)]
            status: String,
        }
        let call = Call::get(API, format!("{}/zones", self.project));
        let zones: Vec<Zone> = self.cloud.list(call, "items").await?;
        // A zone is named like its region, a hyphen and a letter.
        let of_region = |zone: &Zone| zone.name.rsplit_once('-').is_some_and(|(of, _)| of == region);
        let up = zones.into_iter().filter(|zone| of_region(zone) && zone.status == "UP");
        Ok(up.map(|zone| zone.name).collect())
    }
}

impl<T: Serialize + DeserializeOwned> Collection<T> {
    fn folder(&self) -> String {
        format!("{}/{}", self.place, self.kind)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{}", self.folder(), Segment(name))
    }

    /// A change has an id: Compute Engine knows a repeated one, and answers with the operation of the first.
    async fn begin(&self, call: Call) -> Result<Operation, Error> {
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let answer: Value = self.cloud.send(call.query("requestId", Uuid::to_string(&id))).await?;
        Operation::named(API, &format!("{}/operations", self.place), answer)
    }

    /// Creates a resource.
    pub async fn insert(&self, resource: &T) -> Result<Operation, Error> {
        self.begin(Call::post(API, self.folder()).body(resource)).await
    }

    /// Reads a resource.
    pub async fn get(&self, name: &str) -> Result<T, Error> {
        self.cloud.send(Call::get(API, self.path(name))).await
    }

    /// All that fit a filter such as `labels.managed-by=memcloud` or `name eq mc-.*`.
    pub async fn list(&self, filter: &str) -> Result<Vec<T>, Error> {
        self.cloud.list(Call::get(API, self.folder()).query("filter", filter), "items").await
    }

    /// Deletes a resource.
    pub async fn delete(&self, name: &str) -> Result<Operation, Error> {
        self.begin(Call::delete(API, self.path(name))).await
    }
}

impl Collection<Network> {
    /// Removes the connection to another network from this side.
    pub async fn remove_peering(&self, network: &str, peering: &str) -> Result<Operation, Error> {
        let call = Call::post(API, format!("{}/removePeering", self.path(network)));
        self.begin(call.body(json!({"name": peering}))).await
    }
}

impl Collection<Disk> {
    /// Makes snapshots of a disk by a schedule, given by its full name.
    pub async fn add_schedule(&self, disk: &str, schedule: &str) -> Result<Operation, Error> {
        let call = Call::post(API, format!("{}/addResourcePolicies", self.path(disk)));
        self.begin(call.body(json!({"resourcePolicies": [schedule]}))).await
    }
}

impl Collection<Machine> {
    /// Starts a machine.
    pub async fn start(&self, name: &str) -> Result<Operation, Error> {
        self.begin(Call::post(API, format!("{}/start", self.path(name)))).await
    }

    /// Stops a machine. Its disks are billed on.
    pub async fn stop(&self, name: &str) -> Result<Operation, Error> {
        self.begin(Call::post(API, format!("{}/stop", self.path(name)))).await
    }

    /// Reads what a machine has written to its first serial port, from this byte on.
    pub async fn serial_output(&self, name: &str, from: i64) -> Result<SerialOutput, Error> {
        let call = Call::get(API, format!("{}/serialPort", self.path(name)));
        self.cloud.send(call.query("port", "1").query("start", from.to_string())).await
    }
}
