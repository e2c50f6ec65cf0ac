//! Service Usage: which APIs a project has enabled.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::transport::Call;
use crate::wire::{Segment, last_segment};
use crate::{Api, Cloud, Error, Operation};

const API: Api = Api::Services;

/// The APIs of a project.
#[derive(Clone, Debug)]
pub struct Services {
    cloud: Cloud,
    project: String,
}

impl Cloud {
    /// Service Usage.
    pub fn services(&self, project: &str) -> Services {
        Services::new(self.clone(), project)
    }
}

impl Services {
    fn new(cloud: Cloud, project: &str) -> Self {
        Self { cloud, project: format!("projects/{}", Segment(project)) }
    }

    /// Those of the APIs, at most 30 hosts such as `run.googleapis.com`, that are not enabled.
    pub async fn missing(&self, names: &[&str]) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            services: Vec<Service>,
        }
        #[derive(Deserialize)]
        struct Service {
            #[serde(default)]
            name: String,
            #[serde(default)]
            state: String,
        }
        let mut call = Call::get(API, format!("v1/{}/services:batchGet", self.project));
        for name in names {
            call = call.query("names", format!("{}/services/{}", self.project, Segment(name)));
        }
        let found: Found = self.cloud.send(call).await?;
        let enabled = |name: &str| {
            let of_name = |service: &&Service| last_segment(&service.name) == name;
            found.services.iter().find(of_name).is_some_and(|service| service.state == "ENABLED")
        };
        Ok(names.iter().filter(|name| !enabled(name)).map(|name| (*name).to_owned()).collect())
    }

    /// Enables APIs, at most 20, all or none. It takes minutes until each of them answers.
    pub async fn enable(&self, names: &[&str]) -> Result<Operation, Error> {
        let call = Call::post(API, format!("v1/{}/services:batchEnable", self.project));
        let answer: Value = self.cloud.send(call.body(json!({"serviceIds": names}))).await?;
        Operation::named(API, "v1", answer)
    }
}
