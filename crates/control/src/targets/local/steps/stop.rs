use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::{Reason, Wanted};
use crate::operations::{Job, Step};
use crate::targets::local::{Local, process};

/// Stops the process. Undone, it starts it again where it is wanted.
pub(super) struct Stop(pub(super) Arc<Local>);

#[async_trait]
impl Step for Stop {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        Ok(json!({"lived": self.0.stop(&job.instance.id).await?}))
    }

    async fn undo(&self, job: &Job) -> Result<(), Reason> {
        if job.instance.wanted != Wanted::Running {
            return Ok(());
        }
        let from = self.0.start(&job.instance).await?;
        self.0.await_ready(&job.instance, from).await.map(drop)
    }

    fn time_limit(&self) -> Duration {
        process::LISTENS_WITHIN + Duration::from_mins(1)
    }
}
