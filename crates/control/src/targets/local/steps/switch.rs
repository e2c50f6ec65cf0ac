use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{PROGRAM, SNAPSHOT};
use crate::instances::Reason;
use crate::operations::{Job, Step};
use crate::targets::local::{Local, Placement, ProgramId, data};

/// Writes down the new program. Undone, it writes down the old one and restores the data that it knows.
pub(super) struct Switch(pub(super) Arc<Local>);

#[async_trait]
impl Step for Switch {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        self.set(job, "program").await?;
        Ok(json!({}))
    }

    async fn undo(&self, job: &Job) -> Result<(), Reason> {
        let placement = self.set(job, "before").await?;
        if job.outputs.get(SNAPSHOT).is_some_and(|snapshot| snapshot["file"].is_string())
            && let Some(replaced) = data::restore(placement.data_dir()?).await?
        {
            job.say(format!(
                "the data are as before the upgrade; what came after is in {}",
                replaced.display()
            ));
        }
        Ok(())
    }
}

impl Switch {
    /// Writes down the program that the step before has under this name.
    async fn set(&self, job: &Job, which: &str) -> Result<Placement, Reason> {
        let program = job.outputs.get(PROGRAM).and_then(|program| program[which].as_str());
        let program: Option<ProgramId> = program.and_then(|program| program.parse().ok());
        let program = program.ok_or_else(|| {
            Reason::new("the journal does not name the program", "begin another upgrade of the instance")
        })?;
        let placement = Placement { program: Some(program), ..Placement::of(&job.instance)? };
        self.0.place(&job.instance.id, &placement).await?;
        Ok(placement)
    }
}
