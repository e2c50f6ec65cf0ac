//! The learner: claims messages from the learning queue, extracts facts from them, and stores the facts.
//!
//! One call of the language model handles the messages that were claimed together. The facts are stored in the transaction
//! that removes the messages from the queue. When a crash interrupts a call, the same call is made again under the same
//! idempotency key: an endpoint that honors the key answers again and charges once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use memcloud_domain::{Category, Clock, Episode, Error, Timestamp, with_causes};
use memcloud_ports::{
    ClaimedBatch, Engine, ModelError, Outcome, RefusalKind, RevisionSet, Trigger, assigned, read_all,
};
use memcloud_tasks::Tasks;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::llm_gate::ModelGateway;
use crate::memory::Memory;
use crate::profile::categories::Categories;
use crate::profile::commands::added;
use crate::profile::extraction::Extraction;
use crate::profile::merging;

/// How many batches are worked on at once: a call is mostly waiting.
const CONCURRENCY: usize = 4;
/// How long no other learner may claim the messages, and the time limit for the work within that.
const LEASE: Duration = Duration::from_mins(10);
const WORK_TIMEOUT: Duration = Duration::from_mins(8);
/// How long running work may still take after the learner is stopped.
const STOP_TIMEOUT: Duration = Duration::from_millis(2_500);
/// After this many failed attempts messages are parked.
const MAX_ATTEMPTS: u32 = 5;
/// How long claims pause when the model endpoint or the memory fails.
const MIN_OUTAGE_PAUSE: Duration = Duration::from_secs(15);
const MAX_OUTAGE_PAUSE: Duration = Duration::from_mins(5);

/// How facts are learned.
#[derive(Clone, Copy, Debug)]
pub struct LearnerOptions {
    /// When messages are learned from. Default: 5 messages or 5 minutes.
    pub trigger: Trigger,
    /// How often the queue is checked. Default: 2 seconds, as in MemMachine.
    pub every: Duration,
    /// The pause after the first failed attempt, and four times as long after each further one. Default: 5 seconds.
    pub pause: Duration,
}

impl Default for LearnerOptions {
    fn default() -> Self {
        Self {
            trigger: Trigger { messages: 5, age: Duration::from_mins(5) },
            every: Duration::from_secs(2),
            pause: Duration::from_secs(5),
        }
    }
}

/// Learns facts about people from what they write.
pub struct Learner {
    engine: Engine,
    clock: Arc<dyn Clock>,
    gateway: Arc<ModelGateway>,
    categories: Arc<Categories>,
    extraction: Extraction,
    options: LearnerOptions,
    /// Claims are paused until this instant because the model endpoint or the memory is down.
    paused_until: Mutex<Option<Instant>>,
}

impl Learner {
    /// A learner for this memory. `model` is the model that learns; `None` for the default model of the gateway.
    pub fn new(
        memory: &Memory,
        gateway: Arc<ModelGateway>,
        model: Option<String>,
        options: LearnerOptions,
    ) -> Self {
        Self {
            engine: memory.engine.clone(),
            clock: Arc::clone(&memory.clock),
            categories: Arc::clone(&memory.categories),
            extraction: Extraction::new(memory, Arc::clone(&gateway), model),
            gateway,
            options,
            paused_until: Mutex::new(None),
        }
    }

    /// Learns until it is stopped. Running work then has a little time to finish; the rest is put back, and the next learner
    /// makes the same calls again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let (working, cancel) = (Tasks::new(), CancellationToken::new());
        loop {
            while working.len() < CONCURRENCY {
                match self.claim().await {
                    Ok(Some(batch)) => {
                        let learner = Arc::clone(&self);
                        let cancel = cancel.clone();
                        working.spawn("learning", |_| async move { learner.work(batch, &cancel).await });
                    }
                    Ok(None) => break,
                    Err(error) => {
                        // The engine logs its failures itself.
                        tracing::debug!(%error, "cannot read the learning queue");
                        break;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = working.any_ended() => {}
                () = tokio::time::sleep(self.options.every) => {}
            }
        }
        if tokio::time::timeout(STOP_TIMEOUT, working.finished()).await.is_err() {
            cancel.cancel();
            working.finished().await;
        }
    }

    /// Claims the next batch. Nothing is claimed while the model cannot be used.
    async fn claim(&self) -> Result<Option<ClaimedBatch>, Error> {
        let paused = self.paused_until().is_some_and(|until| Instant::now() < until);
        if paused || self.gateway.resting().is_some_and(|left| !left.is_zero()) {
            return Ok(None);
        }
        self.engine.learning.claim(self.options.trigger, self.clock.now(), LEASE).await
    }

    /// Learns from a batch, or puts it back.
    async fn work(&self, batch: ClaimedBatch, cancel: &CancellationToken) {
        let Some(outcome) = self.attempt(&batch, cancel).await else { return };
        let messages = batch.episodes.len();
        tracing::debug!(messages, "returning messages to the learning queue");
        if let Err(error) = self.engine.learning.put_back(&batch, &outcome).await {
            // They can be claimed again when the lease ends.
            let error = with_causes(&error);
            tracing::warn!(messages, error, "cannot return messages to the learning queue");
        }
    }

    /// Makes one attempt; `None` when it succeeded.
    async fn attempt(&self, batch: &ClaimedBatch, cancel: &CancellationToken) -> Option<Outcome> {
        if let Some(outcome) = self.after_crashes(batch) {
            return Some(outcome);
        }
        let learned = tokio::select! {
            learned = tokio::time::timeout(WORK_TIMEOUT, self.learn(batch)) => learned,
            () = cancel.cancelled() => return Some(Outcome::Interrupted),
        };
        let error = learned.unwrap_or(Err(ModelError::Silent(WORK_TIMEOUT))).err()?;
        Some(self.after_error(batch, &error))
    }

    async fn learn(&self, batch: &ClaimedBatch) -> Result<(), ModelError> {
        let target = &batch.target;
        let episodes: Arc<[Episode]> =
            read_all(&*self.engine.episodes, &batch.space, &batch.episodes).await?.into();
        let category = self.categories.of(target).await?.filter(|_| !episodes.is_empty());
        let Some(category) = category else {
            // Nothing is left to learn from, or the category was disabled or deleted meanwhile.
            let nothing = self.extraction.revision_set(target, String::new(), vec![]);
            self.engine.learning.learn(batch, &nothing).await?;
            return Ok(());
        };
        let (known, revisions) = self.extraction.extract(batch, &category, &episodes).await?;
        let grown = added(&revisions);
        let revisions = self.extraction.revision_set(target, category.prompt_version(), revisions);
        let name = &category.name;
        if !self.engine.learning.learn(batch, &revisions).await? {
            tracing::warn!(category = name, "another learner has learned from the same messages");
            return Ok(());
        }
        let changes = revisions.revisions.len();
        tracing::debug!(category = name, messages = episodes.len(), changes, "learned from messages");
        // What fails here changes nothing, and is tried again when there are more facts.
        for tag in merging::crowded(&known, &grown) {
            if let Err(error) = self.merge(batch, &category, tag).await {
                tracing::info!(reason = reason(&error), "cannot merge facts; will retry");
            }
        }
        Ok(())
    }

    async fn merge(&self, batch: &ClaimedBatch, category: &Category, tag: &str) -> Result<(), ModelError> {
        let revisions: RevisionSet = self.extraction.merge(&batch.target, category, tag).await?;
        let merged = self.engine.facts.revise(&revisions).await?;
        tracing::debug!(merged, "merged facts");
        Ok(())
    }

    /// The outcome for messages whose attempts never ended, since the process did: they are tried one by one, and finally
    /// parked.
    fn after_crashes(&self, batch: &ClaimedBatch) -> Option<Outcome> {
        if batch.attempt > MAX_ATTEMPTS {
            return Some(Outcome::Parked("the process ended during every attempt".into()));
        }
        let too_many = batch.episodes.len() > assigned(batch.attempt - 1);
        (too_many && batch.attempt > 2).then(|| Outcome::Failed(self.clock.now()))
    }

    /// The outcome for messages after this error. Only an error that the messages may have caused counts as a failed
    /// attempt: an unusable answer, a refused request, or a failure of an endpoint that otherwise works.
    fn after_error(&self, batch: &ClaimedBatch, error: &ModelError) -> Outcome {
        let counts = match error {
            ModelError::Nothing | ModelError::Unusable { .. } | ModelError::TooLong { .. } => true,
            ModelError::Refused(refusal) => {
                let is_outage = refusal.kind == RefusalKind::ServerFailed && self.gateway.resting().is_some();
                refusal.kind.may_be_request() && !is_outage
            }
            ModelError::Cut(_) | ModelError::Silent(_) => self.gateway.resting().is_none(),
            _ => false,
        };
        if !counts {
            // Every other batch would fail alike, and each attempt is charged as a call.
            let pause = error.retry_after().unwrap_or_default().clamp(MIN_OUTAGE_PAUSE, MAX_OUTAGE_PAUSE);
            *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
            return match error {
                // It may have been answered and charged: then the same call is answered again.
                ModelError::Memory(_) | ModelError::Silent(_) | ModelError::Cut(_) => Outcome::Interrupted,
                _ => Outcome::Retry(self.clock.now()),
            };
        }
        if batch.attempt >= MAX_ATTEMPTS {
            // The reason may quote the model, so it is kept with the messages and not in the log.
            let (messages, reason) = (batch.episodes.len(), with_causes(error));
            tracing::warn!(messages, "learning failed permanently; messages are parked");
            return Outcome::Parked(reason);
        }
        Outcome::Failed(later(self.clock.now(), self.pause_after(batch.attempt)))
    }

    /// The pause after this attempt, from 1.
    fn pause_after(&self, attempt: u32) -> Duration {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(self.options.pause)
            .with_factor(4.0)
            .without_max_delay()
            .with_max_times(MAX_ATTEMPTS as usize)
            .build();
        pauses.nth(attempt.saturating_sub(1) as usize).unwrap_or(self.options.pause)
    }

    fn paused_until(&self) -> Option<Instant> {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a call failed, without what the model, its endpoint or a person wrote.
fn reason(error: &ModelError) -> String {
    match error {
        ModelError::Unusable { .. } => "the answer cannot be used".into(),
        ModelError::Refused(refusal) => format!("the endpoint answered {}", refusal.status),
        ModelError::Memory(error) => error.code().into(),
        error => error.to_string(),
    }
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    let micros = now.as_micros().saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX));
    Timestamp::from_micros(micros).unwrap_or(now)
}
