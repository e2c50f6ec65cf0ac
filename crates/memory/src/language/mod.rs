//! The gate to the language model, through which every call of an instance goes: what it may spend (kept in the store,
//! so that a restart or another server does not begin anew), when a failed call is made again (`retry`), and when the
//! model is left alone (`breaker`).

mod breaker;
mod retry;
mod spent;

use std::sync::Arc;
use std::time::Duration;

use memcloud_model::{Clock, Error};
use serde_json::Value;

use crate::language::breaker::Breaker;
use crate::language::spent::Spent;
use crate::ports::{Answer, Budget, Call, EpisodeStore, LanguageModel, ModelError, Span, Spending, Usage};

pub use retry::Retry;

/// The one way to a language model.
pub struct Gate {
    model: Arc<dyn LanguageModel>,
    store: Arc<dyn EpisodeStore>,
    clock: Arc<dyn Clock>,
    budget: Budget,
    breaker: Breaker,
}

/// What was used and what may be.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Used in this minute.
    pub minute: Usage,
    /// Used in this day.
    pub day: Usage,
    /// The limits.
    pub budget: Budget,
}

impl Gate {
    /// A gate to this model, which keeps its account in this store.
    pub fn new(
        model: Arc<dyn LanguageModel>,
        store: Arc<dyn EpisodeStore>,
        clock: Arc<dyn Clock>,
        budget: Budget,
    ) -> Self {
        Self { model, store, clock, budget, breaker: Breaker::new() }
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
    pub async fn account(&self) -> Result<Account, Error> {
        let (minute, day) = self.store.profiles().usage(self.clock.now()).await?;
        Ok(Account { minute, day, budget: self.budget })
    }

    /// How long the model is still left alone because it failed again and again, if it is.
    pub fn resting(&self) -> Option<Duration> {
        self.breaker.resting()
    }

    /// Leave to make one call of about so many tokens, in and out. It is counted now; leave that is not used is given
    /// back.
    pub async fn admit(self: &Arc<Self>, tokens: usize) -> Result<Permit, ModelError> {
        if let Some(after) = self.breaker.resting().filter(|left| !left.is_zero()) {
            return Err(ModelError::Resting { after });
        }
        let spent = self.spend(tokens).await?;
        self.breaker.admit().map_err(|after| ModelError::Resting { after })?;
        Ok(Permit { gate: Arc::clone(self), spent })
    }

    async fn spend(&self, tokens: usize) -> Result<Spent, ModelError> {
        let spending = Spending { at: self.clock.now(), calls: 1, tokens: tokens as u64 };
        match self.store.profiles().spend(spending, &self.budget).await? {
            None => Ok(Spent::new(Arc::clone(&self.store), spending)),
            Some(span) => {
                Err(ModelError::Exhausted { daily: span == Span::Day, after: span.left(spending.at) })
            }
        }
    }
}

/// Leave to make a call.
pub struct Permit {
    gate: Arc<Gate>,
    spent: Spent,
}

impl Permit {
    /// Makes the call, again if it fails in a way that may pass. Each attempt counts as a call.
    pub async fn send(mut self, call: &Call, retry: Retry) -> Result<Answer, ModelError> {
        let mut pauses = retry.pauses();
        loop {
            let error = match self.gate.model.send(call).await {
                Ok(answer) => return Ok(self.answered(answer)),
                Err(error) => error,
            };
            self.spent.settle_failure(&error);
            if harms(&error) {
                self.gate.breaker.failed();
            }
            let Some(pause) = pauses.after(&error) else { return Err(error) };
            tracing::debug!(%error, ?pause, "the language model is asked again");
            tokio::time::sleep(pause).await;
            self.gate.breaker.admit().map_err(|after| ModelError::Resting { after })?;
            self.spent = self.gate.spend(self.spent.tokens()).await?;
        }
    }

    /// Notes what a whole answer took at once, and what a stream took when it ends.
    fn answered(self, answer: Answer) -> Answer {
        match answer {
            Answer::Whole(completion) => {
                self.gate.breaker.succeeded();
                self.spent.settle(&completion.text, completion.tokens);
                Answer::Whole(completion)
            }
            Answer::Stream(deltas) => {
                Answer::Stream(Box::pin(spent::Counted::new(deltas, self.gate, self.spent)))
            }
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
