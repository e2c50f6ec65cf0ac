//! The gateway to the language model, which every call of an instance passes: the budget, kept in the store so that all
//! servers and restarts share it; retries (`retry`); and a circuit breaker (`breaker`).

mod breaker;
mod corrections;
mod request;
mod reservation;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{Clock, Error};
use memcloud_ports::{
    Budget, Call, Charge, LanguageModel, ModelAnswer, ModelError, RefusalKind, Span, Usage, UsageLedger,
};
use serde_json::Value;

use crate::llm_gate::breaker::Breaker;
use crate::llm_gate::corrections::Corrections;
use crate::llm_gate::reservation::{MeteredStream, Reservation};
use crate::text::token_count::estimate;

pub(crate) use request::AnswerFormat;
pub use request::ModelRequest;
pub use retry::Retry;

/// The gateway to the language model.
pub struct ModelGateway {
    model: Arc<dyn LanguageModel>,
    ledger: Arc<dyn UsageLedger>,
    clock: Arc<dyn Clock>,
    budget: Budget,
    breaker: Breaker,
    corrections: Arc<Corrections>,
}

/// What the instance has used of the language model, and its limits.
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
    /// A gateway to this model that keeps its usage in this store.
    pub fn new(
        model: Arc<dyn LanguageModel>,
        ledger: Arc<dyn UsageLedger>,
        clock: Arc<dyn Clock>,
        budget: Budget,
    ) -> Self {
        let corrections = Arc::new(Corrections::new(Arc::clone(&ledger)));
        Self { model, ledger, clock, budget, breaker: Breaker::new(), corrections }
    }

    /// The name of the default model.
    pub fn name(&self) -> &str {
        self.model.name()
    }

    /// The models that the endpoint lists, in OpenAI's format.
    pub async fn models(&self) -> Result<Value, ModelError> {
        self.model.models().await
    }

    /// What the instance has used, and its limits.
    pub async fn usage(&self) -> Result<UsageReport, Error> {
        let (minute, day) = self.ledger.usage(self.clock.now()).await?;
        Ok(UsageReport { minute, day, budget: self.budget })
    }

    /// Writes all charges that were corrected. Call it when no more calls are made.
    pub async fn close(&self) {
        self.corrections.flush().await;
    }

    /// How long calls still fail fast after repeated failures; `None` while the model works.
    pub fn resting(&self) -> Option<Duration> {
        self.breaker.resting()
    }

    /// Permits one call and charges it to the budget. An unused permit gives its charge back.
    pub async fn admit(self: &Arc<Self>, estimate: TokenEstimate) -> Result<Permit, ModelError> {
        if let Some(after) = self.breaker.resting().filter(|left| !left.is_zero()) {
            return Err(ModelError::Resting { after });
        }
        let reservation = self.reserve(estimate).await?;
        self.breaker.admit().map_err(|after| ModelError::Resting { after })?;
        Ok(Permit { gateway: Arc::clone(self), reservation: Some(reservation), estimate })
    }

    async fn reserve(&self, estimate: TokenEstimate) -> Result<Reservation, ModelError> {
        let charge = Charge { at: self.clock.now(), calls: 1, tokens: estimate.total() };
        match self.ledger.spend(charge, &self.budget).await? {
            None => Ok(Reservation::new(Arc::clone(&self.corrections), charge, estimate)),
            Some(span) => {
                Err(ModelError::Exhausted { daily: span == Span::Day, after: span.left(charge.at) })
            }
        }
    }

    /// Records what an error says about the state of the endpoint. An endpoint that refuses a request works.
    fn record_failure(&self, error: &ModelError) {
        if is_outage(error) {
            self.breaker.failed();
        } else if matches!(error, ModelError::Refused(_)) {
            self.breaker.succeeded();
        }
    }
}

/// The estimated tokens of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenEstimate {
    /// Tokens that the model reads.
    pub prompt: usize,
    /// Tokens that it writes.
    pub completion: usize,
}

/// More tokens than any call uses. Larger numbers, from a client or an endpoint, count as this one.
const MAX_TOKENS: u64 = 1_000_000_000;

impl TokenEstimate {
    fn total(self) -> u64 {
        (self.prompt as u64).saturating_add(self.completion as u64).min(MAX_TOKENS)
    }
}

/// Permission to make one call.
pub struct Permit {
    gateway: Arc<ModelGateway>,
    /// Taken when the call is made.
    reservation: Option<Reservation>,
    estimate: TokenEstimate,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.reservation.is_some() {
            self.gateway.breaker.not_tried();
        }
    }
}

impl Permit {
    /// Makes the call, and retries it after a transient failure. Each attempt is charged as a call.
    pub async fn send(mut self, call: &Call, retry: Retry) -> Result<ModelAnswer, ModelError> {
        let gateway = Arc::clone(&self.gateway);
        let mut pauses = retry.pauses();
        loop {
            let mut reservation = match self.reservation.take() {
                Some(reservation) => reservation,
                None => gateway.reserve(self.estimate).await?,
            };
            // From here on the endpoint may charge for it, even when this task is cancelled.
            reservation.begin();
            let error = match gateway.model.send(call).await {
                Ok(answer) => return Ok(metered(answer, gateway, reservation)),
                Err(error) => error,
            };
            reservation.settle_failure(&error);
            gateway.record_failure(&error);
            let Some(pause) = pauses.after(&error) else { return Err(error) };
            tracing::debug!(%error, ?pause, "retrying a call of the language model");
            tokio::time::sleep(pause).await;
            gateway.breaker.admit().map_err(|after| ModelError::Resting { after })?;
        }
    }
}

/// Settles what a whole answer used at once, and what a stream used when it ends.
fn metered(answer: ModelAnswer, gateway: Arc<ModelGateway>, reservation: Reservation) -> ModelAnswer {
    match answer {
        ModelAnswer::Whole(completion) => {
            gateway.breaker.succeeded();
            reservation.settle(estimate(&completion.text), completion.tokens);
            ModelAnswer::Whole(completion)
        }
        ModelAnswer::Stream(deltas) => {
            ModelAnswer::Stream(Box::pin(MeteredStream::new(deltas, gateway, reservation)))
        }
    }
}

/// Whether an error means that the endpoint is down, not that it refuses this request.
fn is_outage(error: &ModelError) -> bool {
    match error {
        ModelError::Unreachable(_) | ModelError::Silent(_) | ModelError::Cut(_) => true,
        ModelError::Refused(refusal) => refusal.kind == RefusalKind::ServerFailed,
        _ => false,
    }
}
