//! What a call took: counted beforehand, corrected when it is known.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::runtime::Handle;

use crate::language::{Gate, harms};
use crate::ports::{Delta, Deltas, EpisodeStore, ModelError, Spending, Tokens};
use crate::tokens::estimate;

/// What was counted for a call, until it is settled. Leave that nobody used is given back when it is dropped.
pub(crate) struct Spent {
    store: Arc<dyn EpisodeStore>,
    counted: Spending,
    settled: bool,
}

impl Spent {
    pub(crate) fn new(store: Arc<dyn EpisodeStore>, counted: Spending) -> Self {
        Self { store, counted, settled: false }
    }

    /// The tokens that were counted.
    pub(crate) fn tokens(&self) -> usize {
        self.counted.tokens as usize
    }

    /// The model answered this and, if it says so, took so many tokens.
    pub(crate) fn settle(mut self, text: &str, tokens: Option<Tokens>) {
        match tokens {
            Some(tokens) => {
                let total = tokens.prompt.saturating_add(tokens.completion);
                self.correct(0, total as i64 - self.counted.tokens as i64);
            }
            // What was counted beforehand holds, unless the answer alone is longer.
            None => self.correct(0, (estimate(text) as i64 - self.counted.tokens as i64).max(0)),
        }
    }

    /// The model did not answer. What it never began to write costs nothing; what broke off costs what was counted.
    pub(crate) fn settle_failure(&mut self, error: &ModelError) {
        let tokens = match error {
            ModelError::Refused(_) | ModelError::Unreachable(_) => -(self.counted.tokens as i64),
            _ => 0,
        };
        self.correct(0, tokens);
    }

    fn correct(&mut self, calls: i64, tokens: i64) {
        if std::mem::replace(&mut self.settled, true) || (calls == 0 && tokens == 0) {
            return;
        }
        // Nobody waits for it: what was counted beforehand holds until then.
        let Ok(runtime) = Handle::try_current() else { return };
        let (store, at) = (Arc::clone(&self.store), self.counted.at);
        runtime.spawn(async move {
            if let Err(error) = store.profiles().correct(at, calls, tokens).await {
                tracing::warn!(%error, "what the language model took is counted by the estimate");
            }
        });
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        self.correct(-(self.counted.calls as i64), -(self.counted.tokens as i64));
    }
}

/// A streamed answer that settles what it took when it ends or is dropped.
pub(crate) struct Counted {
    deltas: Deltas,
    gate: Arc<Gate>,
    spent: Option<Spent>,
    text: String,
    tokens: Option<Tokens>,
}

impl Counted {
    pub(crate) fn new(deltas: Deltas, gate: Arc<Gate>, spent: Spent) -> Self {
        Self { deltas, gate, spent: Some(spent), text: String::new(), tokens: None }
    }

    fn settle(&mut self) {
        if let Some(spent) = self.spent.take() {
            spent.settle(&self.text, self.tokens);
        }
    }
}

impl Stream for Counted {
    type Item = Result<Delta, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.deltas.as_mut().poll_next(context);
        match &polled {
            Poll::Ready(Some(Ok(delta))) => {
                self.text.push_str(&delta.text);
                self.tokens = delta.tokens.or(self.tokens);
            }
            Poll::Ready(Some(Err(error))) => {
                if harms(error) {
                    self.gate.breaker.failed();
                }
                self.settle();
            }
            Poll::Ready(None) => {
                self.gate.breaker.succeeded();
                self.settle();
            }
            Poll::Pending => {}
        }
        polled
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.settle();
    }
}
