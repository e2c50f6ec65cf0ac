use memcloud_api::console::{
    Accepted, Clone as CloneInstance, DeleteInstance, Doctor, Instance, Instances, Leftovers, LogPart,
    NewInstance, PlannedInstance, Upgrade,
};
use reqwest::Method;
use serde::Serialize;

use super::{Console, LogParts};
use crate::Error;

/// Which instances to list.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InstancesQuery {
    /// Only the one of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The most instances; the console's usual number when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where a page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

#[derive(Serialize)]
struct LogQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
}

impl Console {
    /// Lists instances, by name.
    pub async fn instances(&self, query: &InstancesQuery) -> Result<Instances, Error> {
        self.0.get(&["api", "instances"], query).await
    }

    /// One instance.
    pub async fn instance(&self, id: &str) -> Result<Instance, Error> {
        self.0.get(&["api", "instances", id], &()).await
    }

    /// What would be done to make this instance.
    pub async fn plan(&self, new: &NewInstance) -> Result<PlannedInstance, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "plan"]).json(new)).await
    }

    /// Begins to make an instance.
    pub async fn create_instance(&self, new: &NewInstance) -> Result<Accepted, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "instances"]).json(new)).await
    }

    /// Begins to start an instance.
    pub async fn start(&self, id: &str) -> Result<Accepted, Error> {
        self.begin(id, "start").await
    }

    /// Begins to stop an instance.
    pub async fn stop(&self, id: &str) -> Result<Accepted, Error> {
        self.begin(id, "stop").await
    }

    /// Begins to stop an instance and start it again.
    pub async fn restart(&self, id: &str) -> Result<Accepted, Error> {
        self.begin(id, "restart").await
    }

    /// Begins to check that an instance works.
    pub async fn verify(&self, id: &str) -> Result<Accepted, Error> {
        self.begin(id, "verify").await
    }

    async fn begin(&self, id: &str, verb: &str) -> Result<Accepted, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "instances", id, verb])).await
    }

    /// Begins to move an instance to another program.
    pub async fn upgrade(&self, id: &str, to: &Upgrade) -> Result<Accepted, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "instances", id, "upgrade"]).json(to)).await
    }

    /// Begins to make an instance from a copy of this one's data.
    pub async fn clone_instance(&self, id: &str, new: &CloneInstance) -> Result<Accepted, Error> {
        self.0.send(self.0.request(Method::POST, &["api", "instances", id, "clone"]).json(new)).await
    }

    /// Begins to remove an instance.
    pub async fn delete_instance(&self, id: &str, how: &DeleteInstance) -> Result<Accepted, Error> {
        self.0.send(self.0.request(Method::DELETE, &["api", "instances", id]).json(how)).await
    }

    /// A part of the log of an instance: from this byte on, or its last lines.
    pub async fn log(&self, id: &str, from: Option<u64>) -> Result<LogPart, Error> {
        self.0.get(&["api", "instances", id, "logs"], &LogQuery { from }).await
    }

    /// The same, and what is written later.
    pub fn follow_log(&self, id: &str, from: Option<u64>) -> LogParts {
        let mut query = vec![("follow", "true".to_owned())];
        query.extend(from.map(|from| ("from", from.to_string())));
        LogParts::new(self.0.clone(), &["api", "instances", id, "logs"], query, 0)
    }

    /// Whether the parts of the console work now.
    pub async fn doctor(&self) -> Result<Doctor, Error> {
        self.0.get(&["api", "doctor"], &()).await
    }

    /// What is there and belongs to no instance.
    pub async fn leftovers(&self) -> Result<Leftovers, Error> {
        self.0.get(&["api", "leftovers"], &()).await
    }
}
