//! The learner: takes messages from the queue, has the language model make commands of them, and keeps what comes of it.
//!
//! One call for the messages of one subject that go together. What the model answered is kept in the same transaction
//! that takes the messages out of the queue; a call that a crash cut off is made again under the same name, which an
//! endpoint that heeds idempotency keys answers and charges once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use memcloud_domain::{Episode, Error, Timestamp, with_causes};
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Memory;
use crate::llm_gate::{Expected, ModelGateway, Retry};
use crate::profile::commands::{added, new_facts, read};
use crate::profile::search::{ranked, told};
use crate::profile::{merging, prompt};
use crate::text::token_count;
use memcloud_ports::{
    Answer, Call, ClaimedBatch, Completion, EmbeddedFact, FactsOf, ModelError, Outcome, Refusal, Revision,
    RevisionSet, Trigger, assigned,
};

/// How many subjects are learned about at once: a call is mostly waiting.
const AT_ONCE: usize = 4;
/// How long nobody else takes on what a learner has, and how long it may take within that.
const LEASE: Duration = Duration::from_mins(10);
const ASSIGNMENT_WITHIN: Duration = Duration::from_mins(8);
/// How long what is under way may still take when the learner is told to stop.
const FINISHES_WITHIN: Duration = Duration::from_millis(2_500);
/// After so many attempts messages are parked.
const ATTEMPTS: u32 = 5;
/// The pauses when the trouble is not the messages'.
const OUTAGE_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// How many facts the model is shown; of more, those that are most like the messages.
const SHOWN: usize = 60;
/// What an answer is taken to have at most, in tokens, until it is known.
const ANSWER_TOKENS: usize = 500;

/// How a profile learns.
#[derive(Clone, Copy, Debug)]
pub struct LearnerOptions {
    /// When messages are learned from. Default: 5 messages or 5 minutes.
    pub trigger: Trigger,
    /// How often it is looked for messages whose time has come. Default: 2 seconds, as MemMachine does.
    pub every: Duration,
    /// The pause after the first failed attempt; four times as long after each further one. Default: 5 seconds.
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

/// Learns facts about people from what they say.
pub struct Learner {
    memory: Arc<Memory>,
    gate: Arc<ModelGateway>,
    /// The model, if it is another than the one that chats.
    model: Option<String>,
    options: LearnerOptions,
    /// The [`Form`] that the endpoint knows.
    form: AtomicU8,
    /// Nothing is taken on before this: the model can be used for nobody at present.
    paused: Mutex<Option<Instant>>,
}

/// How the form of an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// By its schema.
    Schema,
    /// As any JSON object.
    Object,
    /// In words alone.
    Words,
}

impl Form {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Schema,
            1 => Self::Object,
            _ => Self::Words,
        }
    }

    fn ask(self, body: &mut Map<String, Value>) {
        match self {
            Self::Schema => {}
            Self::Object => {
                drop(body.insert("response_format".into(), serde_json::json!({"type": "json_object"})));
            }
            Self::Words => drop(body.remove("response_format")),
        }
    }

    /// The name of a call in this form: another body is another request.
    fn name(self, call: &str) -> String {
        if self == Self::Schema { call.to_owned() } else { format!("{call}-{self:?}") }
    }

    /// Whether an endpoint refuses a request because of this form.
    fn is_refused(self, refusal: &Refusal) -> bool {
        let told = String::from_utf8_lossy(&refusal.body).to_lowercase();
        let names_it = ["response_format", "json_schema", "json_object", "schema", "grammar"];
        self != Self::Words
            && matches!(refusal.status, 400 | 422 | 500 | 501)
            && names_it.iter().any(|word| told.contains(word))
    }
}

impl Learner {
    /// A learner of this memory. `model` is the one that learns; `None` for the one that chats.
    pub fn new(
        memory: Arc<Memory>,
        gate: Arc<ModelGateway>,
        model: Option<String>,
        options: LearnerOptions,
    ) -> Self {
        Self {
            memory,
            gate,
            model,
            options,
            form: AtomicU8::new(Form::Schema as u8),
            paused: Mutex::new(None),
        }
    }

    /// Learns until it is told to stop. What is under way then has a little time to end; the rest is put back, and
    /// whoever learns next makes the same calls again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let (mut working, cut) = (JoinSet::new(), CancellationToken::new());
        loop {
            while working.len() < AT_ONCE {
                match self.take_on().await {
                    Ok(Some(assignment)) => {
                        let (learner, cut) = (Arc::clone(&self), cut.clone());
                        working.spawn(async move { learner.work(assignment, &cut).await });
                    }
                    Ok(None) => break,
                    Err(error) => {
                        // The engine tells its troubles itself.
                        tracing::debug!(%error, "the queue of the profile cannot be read at present");
                        break;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = working.join_next() => {}
                () = tokio::time::sleep(self.options.every) => {}
            }
        }
        let finished = async { while working.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISHES_WITHIN, finished).await.is_err() {
            cut.cancel();
            while working.join_next().await.is_some() {}
        }
    }

    /// The next assignment. None while the model is left alone or cannot be used: nothing is taken that cannot be done.
    async fn take_on(&self) -> Result<Option<ClaimedBatch>, Error> {
        let paused = self.paused_until().is_some_and(|until| Instant::now() < until);
        if paused || self.gate.resting().is_some_and(|left| !left.is_zero()) {
            return Ok(None);
        }
        self.memory.store.learning.claim(self.options.trigger, self.memory.clock.now(), LEASE).await
    }

    /// Does one assignment to its end, whatever that is.
    async fn work(&self, assignment: ClaimedBatch, cut: &CancellationToken) {
        let Some(outcome) = self.attempt(&assignment, cut).await else { return };
        tracing::debug!(
            owner = assignment.subject.owner,
            ?outcome,
            "messages go back to the queue of the profile"
        );
        if let Err(error) = self.memory.store.learning.put_back(&assignment, &outcome).await {
            // It is given out again when the lease ends.
            tracing::warn!(error = %with_causes(&error), "messages cannot be put back into the queue of the profile");
        }
    }

    /// Makes an attempt; what becomes of the messages if it did not succeed.
    async fn attempt(&self, assignment: &ClaimedBatch, cut: &CancellationToken) -> Option<Outcome> {
        if let Some(setback) = self.unended(assignment) {
            return Some(setback);
        }
        let learned = tokio::select! {
            learned = tokio::time::timeout(ASSIGNMENT_WITHIN, self.learn(assignment)) => learned,
            () = cut.cancelled() => return Some(Outcome::Interrupted),
        };
        let error = learned.unwrap_or(Err(ModelError::Silent(ASSIGNMENT_WITHIN))).err()?;
        Some(self.setback(assignment, &error))
    }

    async fn learn(&self, assignment: &ClaimedBatch) -> Result<(), ModelError> {
        let subject = &assignment.subject;
        let episodes = self.memory.store.episodes.episodes(&subject.space, &assignment.episodes).await?;
        let (facts, revisions) =
            if episodes.is_empty() { (vec![], vec![]) } else { self.ask(assignment, &episodes).await? };
        let grown = added(&revisions);
        let lessons = self.lessons(assignment, revisions);
        if !self.memory.store.learning.learn(assignment, &lessons).await? {
            tracing::warn!(
                owner = subject.owner,
                "another server has learned from the same messages meanwhile"
            );
            return Ok(());
        }
        tracing::debug!(
            owner = subject.owner,
            messages = episodes.len(),
            changes = lessons.revisions.len(),
            "learned"
        );
        self.tidy(assignment, &facts, &grown).await;
        Ok(())
    }

    /// What the model makes of the messages, and the facts that were known before.
    async fn ask(
        &self,
        assignment: &ClaimedBatch,
        episodes: &[Episode],
    ) -> Result<(Vec<EmbeddedFact>, Vec<Revision>), ModelError> {
        let subject = &assignment.subject;
        // Without it nothing could be kept of an answer that has been paid for.
        if let Some(embedder) = &self.memory.embedder {
            embedder.embed_query(&subject.owner).await?;
        }
        let known = self.known(assignment).await?;
        let shown = self.shown(known.clone(), episodes).await?;
        let body = prompt::learn(&subject.owner, &subject.category, &shown, episodes);
        let answer = self.call(body, Some(assignment.call.to_string())).await?;
        let read = read(&answer.text, &shown, episodes, prompt::tags(&subject.category));
        let mut revisions = read.map_err(|what| ModelError::Unusable { what })?;
        self.embed(&mut revisions).await?;
        Ok((known, revisions))
    }

    async fn known(&self, assignment: &ClaimedBatch) -> Result<Vec<EmbeddedFact>, Error> {
        let subject = &assignment.subject;
        let of = FactsOf {
            space: subject.space.clone(),
            owners: Some(vec![subject.owner.clone()]),
            category: Some(subject.category.clone()),
            as_of: None,
        };
        self.memory.store.facts.facts(&of).await
    }

    /// The facts that the model is shown.
    async fn shown(
        &self,
        mut facts: Vec<EmbeddedFact>,
        episodes: &[Episode],
    ) -> Result<Vec<EmbeddedFact>, Error> {
        if facts.len() <= SHOWN {
            return Ok(facts);
        }
        let said: Vec<&str> = episodes.iter().map(|episode| episode.content.as_str()).collect();
        let said = token_count::cut(&said.join("\n"), 2_000).to_owned();
        let (vector, _) = self.memory.embed_question(&said).await?;
        let ranked = ranked(facts.clone(), &said, vector.as_deref());
        let best: Vec<_> = ranked.iter().take(SHOWN).map(|hit| hit.fact.id).collect();
        facts.retain(|fact| best.contains(&fact.fact.id));
        Ok(facts)
    }

    /// Makes a call that must answer with a whole text. The answer's form is asked for as strictly as the endpoint knows
    /// how to: what it refuses is left out, from then on.
    async fn call(
        &self,
        mut body: Map<String, Value>,
        key: Option<String>,
    ) -> Result<Completion, ModelError> {
        body.insert("model".into(), self.model().into());
        let expected = Expected { prompt: token_count::of_request(&body), completion: ANSWER_TOKENS };
        loop {
            let form = Form::of(self.form.load(Ordering::Relaxed));
            form.ask(&mut body);
            let permit = self.gate.admit(expected).await?;
            let call = Call { body: body.clone(), idempotency_key: key.as_ref().map(|key| form.name(key)) };
            match permit.send(&call, Retry::PATIENTLY).await {
                Ok(Answer::Whole(completion)) => return Ok(completion),
                Ok(Answer::Stream(_)) => {
                    return Err(ModelError::Unusable { what: "a stream that nobody asked for".into() });
                }
                Err(ModelError::Refused(refusal)) if form.is_refused(&refusal) => {
                    tracing::info!(
                        told = refusal.told(),
                        "the endpoint does not know this form of answers: {form:?}"
                    );
                    self.form.fetch_max(form as u8 + 1, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn paused_until(&self) -> Option<Instant> {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(self.gate.name())
    }

    async fn embed(&self, revisions: &mut [Revision]) -> Result<(), Error> {
        let Some(embedder) = &self.memory.embedder else { return Ok(()) };
        self.memory.bind().await?;
        let mut new = new_facts(revisions);
        let texts = new.iter().map(|new| told(&new.tag, &new.name, &new.value)).collect();
        for (new, vector) in new.iter_mut().zip(embedder.embed_documents(texts).await?) {
            new.vector = Some(vector.into_iter().map(half::f16::from_f32).collect());
        }
        Ok(())
    }

    fn lessons(&self, assignment: &ClaimedBatch, revisions: Vec<Revision>) -> RevisionSet {
        RevisionSet {
            subject: assignment.subject.clone(),
            revisions,
            at: self.memory.clock.now(),
            prompt: prompt::VERSION.into(),
            model: self.model().into(),
        }
    }

    /// Merges the facts of the tags that have become many. What goes wrong changes nothing, and is tried again when there
    /// are more.
    async fn tidy(&self, assignment: &ClaimedBatch, before: &[EmbeddedFact], grown: &HashMap<String, usize>) {
        for tag in merging::crowded(before, grown) {
            if let Err(error) = self.merge(assignment, tag).await {
                tracing::info!(error = %with_causes(&error), tag, "facts were not merged this time");
            }
        }
    }

    async fn merge(&self, assignment: &ClaimedBatch, tag: &str) -> Result<(), ModelError> {
        let mut facts = self.known(assignment).await?;
        facts.retain(|fact| fact.fact.tag == tag);
        let answer = self.call(prompt::merge(tag, &facts), None).await?;
        let read = crate::profile::commands::read_merges(&answer.text, &facts);
        let mut revisions = read.map_err(|what| ModelError::Unusable { what })?;
        self.embed(&mut revisions).await?;
        let merged = self.memory.store.facts.revise(&self.lessons(assignment, revisions)).await?;
        tracing::debug!(tag, merged, "merged facts");
        Ok(())
    }

    /// What becomes of messages whose attempts end the process again and again: they are tried one by one, and parked in
    /// the end.
    fn unended(&self, assignment: &ClaimedBatch) -> Option<Outcome> {
        if assignment.attempt > ATTEMPTS {
            return Some(Outcome::Parked("the process ended in the midst of each attempt".into()));
        }
        let several = assignment.episodes.len() > assigned(assignment.attempt - 1);
        (several && assignment.attempt > 2).then(|| Outcome::Failed(self.memory.clock.now()))
    }

    /// What becomes of messages after this error. Only what may be their own fault counts against them: an answer that
    /// cannot be used, a request that is refused, and failures of an endpoint that otherwise works.
    fn setback(&self, assignment: &ClaimedBatch, error: &ModelError) -> Outcome {
        let later = |pause: Duration| later(self.memory.clock.now(), pause);
        let counts = match error {
            ModelError::Nothing | ModelError::Unusable { .. } | ModelError::TooLong { .. } => true,
            ModelError::Refused(refusal) => {
                let by_itself = matches!(refusal.status, 401 | 403 | 404 | 407 | 408 | 429);
                let outage = refusal.status >= 500 && !refusal.is_overflow() && self.gate.resting().is_some();
                !by_itself && !outage
            }
            ModelError::Cut(_) | ModelError::Silent(_) => self.gate.resting().is_none(),
            _ => false,
        };
        if !counts {
            // It would be the same for all others, and each attempt counts as a call.
            let pause = error.retry_after().unwrap_or_default().clamp(OUTAGE_PAUSE, LONGEST_PAUSE);
            *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
            return match error {
                // It may have been answered and charged: then the same call answers once more.
                ModelError::Memory(_) | ModelError::Silent(_) | ModelError::Cut(_) => Outcome::Interrupted,
                _ => Outcome::Retry(self.memory.clock.now()),
            };
        }
        if assignment.attempt >= ATTEMPTS {
            let reason = with_causes(error);
            tracing::warn!(
                owner = assignment.subject.owner,
                reason,
                "messages are parked: see 'memcloud doctor'"
            );
            return Outcome::Parked(reason);
        }
        Outcome::Failed(later(self.options.pause * 4_u32.pow(assignment.attempt.saturating_sub(1).min(6))))
    }
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    let micros = now.as_micros().saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX));
    Timestamp::from_micros(micros).unwrap_or(now)
}
