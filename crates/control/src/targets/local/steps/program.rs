use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::Reason;
use crate::operations::{Job, Step};
use crate::targets::local::{Local, Placement, ProgramId, files};

/// How long a program may take to say its version.
const SAYS_WITHIN: Duration = Duration::from_secs(10);

/// Copies the program to upgrade to, and makes sure that it is one. Nothing of the instance is touched yet.
pub(super) struct Program(pub(super) Arc<Local>);

#[async_trait]
impl Step for Program {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let local = &self.0;
        let program = match job.inputs["program"].as_str() {
            Some(path) => self.keep(Path::new(path)).await?,
            None => local.program.clone(),
        };
        let mut command = local.command(&local.programs.path(&program));
        command.arg("--version");
        let said = local.run(command, SAYS_WITHIN).await?;
        let version = said.trim().strip_prefix("memcloud ").ok_or_else(|| {
            let said: String = said.chars().take(80).collect();
            Reason::new(
                format!("the program is not a memcloud: it says '{}'", said.trim()),
                "name a memcloud program",
            )
        })?;
        let before = Placement::of(&job.instance)?.program;
        if before.as_ref() == Some(&program) {
            job.say("the instance runs this program already");
        } else {
            job.say(format!("to version {version}"));
        }
        Ok(json!({"program": program, "version": version, "before": before}))
    }
}

impl Program {
    async fn keep(&self, path: &Path) -> Result<ProgramId, Reason> {
        let (programs, program): (_, PathBuf) = (self.0.programs.clone(), path.to_owned());
        let kept = files::blocking(move || programs.keep(&program)).await;
        kept.map_err(|error| files::failed("copy the program", path, &error))
    }
}
