use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::Reason;
use crate::operations::{Job, Step};
use crate::targets::local::Local;

/// Tries the databases and the language model, before anything is made.
pub(super) struct Connections(pub(super) Arc<Local>);

#[async_trait]
impl Step for Connections {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let setup = &self.0.setup;
        let settings = setup.settings.settings(&job.instance.id).await?;
        let found = setup.connections.check(&settings).await?;
        for line in &found {
            job.say(line);
        }
        Ok(json!({"found": found}))
    }
}
