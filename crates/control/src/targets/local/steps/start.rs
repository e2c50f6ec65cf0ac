use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::Reason;
use crate::operations::{Job, Step};
use crate::targets::local::Local;

/// Starts the process, unless it lives.
pub(super) struct Start(pub(super) Arc<Local>);

#[async_trait]
impl Step for Start {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        Ok(json!({"log_from": self.0.start(&job.instance).await?}))
    }

    async fn undo(&self, job: &Job) -> Result<(), Reason> {
        self.0.stop(&job.instance.id).await.map(drop)
    }
}
