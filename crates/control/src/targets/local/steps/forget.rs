use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::Reason;
use crate::operations::{Job, Step};
use crate::targets::local::{Local, unkept};

/// Removes the sealed settings.
pub(super) struct Forget(pub(super) Arc<Local>);

#[async_trait]
impl Step for Forget {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let removed = self.0.setup.store.remove_settings(&job.instance.id).await;
        removed.map_err(|error| unkept(&error))?;
        Ok(json!({}))
    }
}
