use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memcloud_client::{Client, Error, SpacesQuery};
use serde_json::{Value, json};

use super::keys::revoke_all;
use crate::instances::{Instance, Reason, Settings, Topology};
use crate::operations::{Job, Step};
use crate::targets::local::environment::same_database;
use crate::targets::local::{Local, refused};

/// How often the spaces are counted that are being removed.
const COUNT_EVERY: Duration = Duration::from_millis(100);

/// Deletes the memories and the keys of an instance from its databases, through its API. The empty tables stay.
pub(super) struct Empty(pub(super) Arc<Local>);

#[async_trait]
impl Step for Empty {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        self.refuse_shared(&job.instance).await?;
        let client = self.0.client(&job.instance).await?;
        empty(&client, job).await.map_err(|error| refused(&error))?;
        Ok(json!({}))
    }

    fn time_limit(&self) -> Duration {
        Duration::from_hours(1)
    }
}

impl Empty {
    /// Refuses where another instance keeps its memory in the same database: it would lose it.
    async fn refuse_shared(&self, instance: &Instance) -> Result<(), Reason> {
        let source = &self.0.setup.settings;
        let own = source.settings(&instance.id).await?;
        for other in self.0.all_instances().await? {
            if other.id == instance.id || other.topology == Topology::Embedded {
                continue;
            }
            // One that is being removed has none any more.
            let Ok(settings) = source.settings(&other.id).await else { continue };
            if share_a_database(&own, &settings) {
                return Err(Reason::new(
                    format!("the instance '{}' keeps its memory in the same database", other.name),
                    "delete this instance and keep its data",
                ));
            }
        }
        Ok(())
    }
}

fn share_a_database(one: &Settings, other: &Settings) -> bool {
    let pairs = [(&one.neo4j, &other.neo4j), (&one.postgres, &other.postgres)];
    pairs.iter().any(|pair| matches!(pair, (Some(one), Some(other)) if same_database(one, other)))
}

async fn empty(client: &Client, job: &Job) -> Result<(), Error> {
    let mut said = None;
    loop {
        let spaces = client.spaces(&SpacesQuery::default()).await?.spaces;
        if spaces.is_empty() {
            break;
        }
        for space in spaces.iter().filter(|space| space.state != "deleting") {
            client.delete_space(&space.org, &space.project).await?;
        }
        if said.replace(spaces.len()) != Some(spaces.len()) {
            job.say(format!("{} spaces are being removed", spaces.len()));
        }
        tokio::time::sleep(COUNT_EVERY).await;
    }
    revoke_all(client).await.map(drop)
}
