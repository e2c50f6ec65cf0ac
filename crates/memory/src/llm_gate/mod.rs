//! The gate to the language model, through which every call of an instance goes: what it may spend (kept in the store,
//! so that a restart or another server does not begin anew), when a failed call is made again (`retry`), and when the
//! model is left alone (`breaker`).

mod breaker;
mod corrections;
mod reservation;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{Clock, Error};
use serde_json::Value;

use crate::llm_gate::breaker::Breaker;
use crate::llm_gate::corrections::Corrections;
use crate::llm_gate::reservation::Reservation;
use crate::text::token_count::estimate;
use memcloud_ports::{Answer, Budget, Call, Charge, LanguageModel, ModelError, Span, Usage, UsageLedger};

pub use retry::Retry;

/// The one way to a language model.
pub struct ModelGateway {
    model: Arc<dyn LanguageModel>,
    usage: Arc<dyn UsageLedger>,
    clock: Arc<dyn Clock>,
    budget: Budget,
    breaker: Breaker,
    corrections: Arc<Corrections>,
}

/// What was used and what may be.
#[derive(Clone, Copy, Debug)]
pub struct UsageReport {
    /// Used in this minute.
    pub minute: Usage,
    /// Used in this day.
    pub day: Usage,
    /// The limits.
    pub budget: Budget,
}

impl ModelGateway {
    /// A gate to this model, which keeps its account in this store.
    pub fn new(
        model: Arc<dyn LanguageModel>,
        usage: Arc<dyn UsageLedger>,
        clock: Arc<dyn Clock>,
        budget: Budget,
    ) -> Self {
        let corrections = Arc::new(Corrections::new(Arc::clone(&usage)));
        Self { model, usage, clock, budget, breaker: Breaker::new(), corrections }
    }

    /// The model that answers when nobody names one.
    pub fn name(&self) -> &str {
        self.model.name()
    }

    /// The models of the endpoint, in OpenAI's shape.
    pub async fn models(&self) -> Result<Value, ModelError> {
        self.model.models().await
    }

    /// What was used and what may be.
    pub async fn account(&self) -> Result<UsageReport, Error> {
        let (minute, day) = self.usage.usage(self.clock.now()).await?;
        Ok(UsageReport { minute, day, budget: self.budget })
    }

    /// How long the model is still left alone because it failed again and again, if it is.
    pub fn resting(&self) -> Option<Duration> {
        self.breaker.resting()
    }

    /// Leave to make one call. It is counted now; leave that is not used is given back.
    pub async fn admit(self: &Arc<Self>, expected: Expected) -> Result<Permit, ModelError> {
        if let Some(after) = self.breaker.resting().filter(|left| !left.is_zero()) {
            return Err(ModelError::Resting { after });
        }
        let spent = self.spend(expected).await?;
        self.breaker.admit().map_err(|after| ModelError::Resting { after })?;
        Ok(Permit { gate: Arc::clone(self), spent: Some(spent), expected })
    }

    async fn spend(&self, expected: Expected) -> Result<Reservation, ModelError> {
        let spending = Charge { at: self.clock.now(), calls: 1, tokens: expected.total() };
        match self.usage.spend(spending, &self.budget).await? {
            None => Ok(Reservation::new(Arc::clone(&self.corrections), spending, expected)),
            Some(span) => {
                Err(ModelError::Exhausted { daily: span == Span::Day, after: span.left(spending.at) })
            }
        }
    }
}

/// About how many tokens a call will take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// What the model reads.
    pub prompt: usize,
    /// What it writes.
    pub completion: usize,
}

/// More tokens than any call takes. What is said to be more, by a client or by an endpoint, counts as this.
const MOST_TOKENS: u64 = 1_000_000_000;

impl Expected {
    fn total(self) -> u64 {
        (self.prompt as u64).saturating_add(self.completion as u64).min(MOST_TOKENS)
    }
}

/// Leave to make a call.
pub struct Permit {
    gate: Arc<ModelGateway>,
    /// Taken when the call is made.
    spent: Option<Reservation>,
    expected: Expected,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.spent.is_some() {
            self.gate.breaker.not_tried();
        }
    }
}

impl Permit {
    /// Makes the call, again if it fails in a way that may pass. Each attempt counts as a call.
    pub async fn send(mut self, call: &Call, retry: Retry) -> Result<Answer, ModelError> {
        let gate = Arc::clone(&self.gate);
        let mut pauses = retry.pauses();
        loop {
            let mut spent = match self.spent.take() {
                Some(spent) => spent,
                None => gate.spend(self.expected).await?,
            };
            // From here on it may be charged, whatever becomes of this task.
            spent.begin();
            let error = match gate.model.send(call).await {
                Ok(answer) => return Ok(answered(answer, gate, spent)),
                Err(error) => error,
            };
            spent.settle_failure(&error);
            gate.heard(&error);
            let Some(pause) = pauses.after(&error) else { return Err(error) };
            tracing::debug!(%error, ?pause, "the language model is asked again");
            tokio::time::sleep(pause).await;
            gate.breaker.admit().map_err(|after| ModelError::Resting { after })?;
        }
    }
}

/// Notes what a whole answer took at once, and what a stream took when it ends.
fn answered(answer: Answer, gate: Arc<ModelGateway>, spent: Reservation) -> Answer {
    match answer {
        Answer::Whole(completion) => {
            gate.breaker.succeeded();
            spent.settle(estimate(&completion.text), completion.tokens);
            Answer::Whole(completion)
        }
        Answer::Stream(deltas) => Answer::Stream(Box::pin(reservation::Counted::new(deltas, gate, spent))),
    }
}

impl ModelGateway {
    /// Notes what an error says about how the endpoint is: one that refuses a request is well.
    fn heard(&self, error: &ModelError) {
        if harms(error) {
            self.breaker.failed();
        } else if matches!(error, ModelError::Refused(_)) {
            self.breaker.succeeded();
        }
    }
}

/// Whether an error says that the endpoint is not well, rather than that it does not like what it was asked.
fn harms(error: &ModelError) -> bool {
    match error {
        ModelError::Unreachable(_) | ModelError::Silent(_) | ModelError::Cut(_) => true,
        ModelError::Refused(refusal) => refusal.status >= 500 && !refusal.is_overflow(),
        _ => false,
    }
}
