use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::START;
use crate::instances::Reason;
use crate::operations::{Job, Step, interrupted};
use crate::store::InstanceChange;
use crate::targets::local::{Local, process};

/// Waits until the instance says that all its parts work, and keeps its address and version.
pub(super) struct Ready(pub(super) Arc<Local>);

#[async_trait]
impl Step for Ready {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let started = job.outputs.get(START).and_then(|start| start["log_from"].as_u64());
        // What ended this console may have ended the process as well.
        let from = match started.filter(|_| self.0.alive(&job.instance.id).is_ok_and(|pid| pid.is_some())) {
            Some(from) => from,
            None => self.0.start(&job.instance).await?,
        };
        let ready = job.stop.run_until_cancelled(self.0.await_ready(&job.instance, from)).await;
        let record = ready.ok_or_else(interrupted)??;
        let change = InstanceChange {
            url: Some(record.url.clone()),
            version: Some(record.version.clone()),
            ..InstanceChange::default()
        };
        self.0.change(&job.instance.id, change).await?;
        Ok(json!({"url": record.url, "version": record.version}))
    }

    fn time_limit(&self) -> Duration {
        process::LISTENS_WITHIN + Duration::from_mins(1)
    }
}
