use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::Reason;
use crate::operations::{Job, Step};
use crate::targets::local::{Local, files};

/// Makes the folder of an instance.
pub(super) struct MakeFolder(pub(super) Arc<Local>);

#[async_trait]
impl Step for MakeFolder {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let folder = self.0.folder(&job.instance.id);
        files::make_folder(folder.path())?;
        Ok(json!({"folder": folder.path()}))
    }

    async fn undo(&self, job: &Job) -> Result<(), Reason> {
        // A data directory that was given is not in there, and stays.
        files::remove(self.0.folder(&job.instance.id).path()).await
    }
}
