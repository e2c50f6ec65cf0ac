use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::Reason;
use crate::operations::{Job, Step};
use crate::targets::local::{Local, Placement, data, files};

/// Copies the data of another instance, which goes on meanwhile.
pub(super) struct Copy(pub(super) Arc<Local>);

#[async_trait]
impl Step for Copy {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let source: Placement = serde_json::from_value(job.inputs["source"].clone()).map_err(|error| {
            Reason::new(format!("the instance to copy has no place: {error}"), "clone another instance")
        })?;
        let placement = Placement::of(&job.instance)?;
        let data_dir = placement.data_dir()?;
        files::make_folder(data_dir)?;
        self.0.back_up(source.program()?, source.data_dir()?, &data_dir.join(data::DATABASE)).await?;
        Ok(json!({"from": source.data_dir}))
    }

    fn time_limit(&self) -> Duration {
        data::COPIED_WITHIN
    }
}
