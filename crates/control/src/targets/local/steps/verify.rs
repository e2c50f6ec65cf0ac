use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memcloud_client::Client;
use serde_json::{Value, json};

use crate::instances::{Instance, Reason};
use crate::operations::{Job, Step, interrupted};
use crate::targets::local::{Local, Placement, unkept};
use crate::verify::{Criterion, Evidence, Options, Outcome, Restart, verdict, verdict_of_memory, verify};

/// Checks through its API that the instance does what it is for, and keeps what was seen.
pub(super) struct Verify(pub(super) Arc<Local>);

#[async_trait]
impl Step for Verify {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let (local, instance) = (&self.0, &job.instance);
        // A verification that was interrupted may have stopped it.
        let from = local.start(instance).await?;
        local.await_ready(instance, from).await?;
        let client = local.client(instance).await?;
        let options = Options { stop: job.stop.clone(), ..Options::new(instance.has_llm) };
        let restart = RestartProcess { local, instance };
        let mut evidence = verify(&client, &options, &restart, &*local.setup.clock).await;
        if is_only_slow(&evidence) && !job.stop.is_cancelled() {
            job.say("it was too slow; the caches and query plans of a fresh start are cold, so it is verified once more");
            evidence = verify(&local.client(instance).await?, &options, &restart, &*local.setup.clock).await;
        }
        // What was not checked because it was to stop says nothing about the instance.
        if job.stop.is_cancelled() {
            return Err(interrupted());
        }
        let kept = local.setup.store.keep_evidence(&instance.id, &evidence).await;
        kept.map_err(|error| unkept(&error))?;
        // That no request was answered any more says less than why.
        if local.alive(&instance.id)?.is_none() {
            return Err(Reason::new(
                "its process ended while it was verified",
                "it is started again; its log says why it ended",
            ));
        }
        let seen = evidence.iter().map(|seen| (seen.criterion.to_string(), json!(seen.outcome)));
        let seen = Value::Object(seen.collect());
        // What was not checked in time is not proven either.
        let complete = verdict(&evidence);
        if Placement::of(instance)?.given_data_dir(&instance.id).is_none() {
            return complete.map(|()| seen);
        }
        // Data that were there before are a memory also without a language model. The capabilities say what does not work.
        verdict_of_memory(&evidence)?;
        if let Err(reason) = complete {
            job.say(reason.message);
        }
        Ok(seen)
    }

    fn time_limit(&self) -> Duration {
        Duration::from_mins(10)
    }
}

/// Whether nothing but the time limits failed.
fn is_only_slow(evidence: &[Evidence]) -> bool {
    let mut failed = evidence.iter().filter(|seen| seen.outcome == Outcome::Failed).peekable();
    failed.peek().is_some()
        && failed.all(|seen| matches!(seen.criterion, Criterion::Store | Criterion::NoTimeout))
}

/// Restarts the process of an instance that is verified.
struct RestartProcess<'a> {
    local: &'a Local,
    instance: &'a Instance,
}

#[async_trait]
impl Restart for RestartProcess<'_> {
    async fn restart(&self) -> Result<Client, Reason> {
        self.local.stop(&self.instance.id).await?;
        let from = self.local.start(self.instance).await?;
        self.local.await_ready(self.instance, from).await?;
        self.local.client(self.instance).await
    }
}
