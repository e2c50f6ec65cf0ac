use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::Reason;
use crate::operations::{Job, Step};
use crate::targets::local::{Local, Placement, data, files};

/// Deletes the files of an instance. In a data directory that it was given, only those that a memory consists of: other
/// files there, such as an embedding model, stay.
pub(super) struct Remove(pub(super) Arc<Local>);

#[async_trait]
impl Step for Remove {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let folder = self.0.folder(&job.instance.id);
        if let Some(data_dir) = Placement::of(&job.instance)?.data_dir
            && data_dir != folder.data()
        {
            data::remove(&data_dir).await?;
        }
        files::remove(folder.path()).await?;
        Ok(json!({}))
    }

    fn time_limit(&self) -> Duration {
        Duration::from_mins(10)
    }
}
