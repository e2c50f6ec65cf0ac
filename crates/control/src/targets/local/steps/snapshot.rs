use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::{Reason, Topology};
use crate::operations::{Job, Step};
use crate::targets::local::{Local, Placement, data, files};

/// Copies the data of a stopped instance into its data directory, where [`Switch`](super::switch::Switch) finds them when
/// it is undone. Replaces the snapshot of the upgrade before.
pub(super) struct Snapshot(pub(super) Arc<Local>);

#[async_trait]
impl Step for Snapshot {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let placement = Placement::of(&job.instance)?;
        let data_dir = placement.data_dir()?;
        if job.instance.topology != Topology::Embedded {
            job.say("no snapshot: databases have backups of their own, and their schema only moves forward");
            return Ok(json!({"file": null}));
        }
        if !data_dir.join(data::DATABASE).exists() {
            return Ok(json!({"file": null}));
        }
        let file = data::snapshot(data_dir);
        files::remove(&data_dir.join(data::SNAPSHOT)).await?;
        files::make_folder(&data_dir.join(data::SNAPSHOT))?;
        self.0.back_up(placement.program()?, data_dir, &file).await?;
        Ok(json!({"file": file}))
    }

    async fn undo(&self, job: &Job) -> Result<(), Reason> {
        let placement = Placement::of(&job.instance)?;
        files::remove(&placement.data_dir()?.join(data::SNAPSHOT)).await
    }

    fn time_limit(&self) -> Duration {
        data::COPIED_WITHIN
    }
}
