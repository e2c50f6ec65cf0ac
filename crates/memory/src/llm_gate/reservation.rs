//! What a call took: counted beforehand, corrected when it is known.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::llm_gate::corrections::Corrections;
use crate::llm_gate::{Expected, MOST_TOKENS, ModelGateway};
use crate::text::token_count::estimate;
use memcloud_ports::{Charge, Delta, Deltas, ModelError, Tokens};

/// What was counted for a call, until it is settled. What was counted for a call that was never made is given back when
/// it is dropped; once it was made it stays counted, since it may have been charged.
pub(crate) struct Reservation {
    corrections: Arc<Corrections>,
    counted: Charge,
    expected: Expected,
    settled: bool,
    begun: bool,
}

impl Reservation {
    pub(crate) fn new(corrections: Arc<Corrections>, counted: Charge, expected: Expected) -> Self {
        Self { corrections, counted, expected, settled: false, begun: false }
    }

    /// The call is made.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// The model wrote about so many tokens and, if it says so, the call took so many.
    pub(crate) fn settle(mut self, written: usize, tokens: Option<Tokens>) {
        let took = match tokens {
            Some(tokens) => tokens.prompt.saturating_add(tokens.completion).min(MOST_TOKENS),
            None => Expected { completion: written, ..self.expected }.total(),
        };
        self.correct(0, took as i64 - self.counted.tokens as i64);
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
        self.corrections.add(self.counted.at, calls, tokens);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.begun {
            return;
        }
        self.correct(-(self.counted.calls as i64), -(self.counted.tokens as i64));
    }
}

/// A streamed answer that settles what it took when it ends or is dropped.
pub(crate) struct Counted {
    deltas: Deltas,
    gate: Arc<ModelGateway>,
    spent: Option<Reservation>,
    /// About how many tokens have come: what is said in words, but at least one for each event, since tools are called
    /// and thoughts are thought in tokens, too.
    written: usize,
    events: usize,
    tokens: Option<Tokens>,
}

impl Counted {
    pub(crate) fn new(deltas: Deltas, gate: Arc<ModelGateway>, spent: Reservation) -> Self {
        Self { deltas, gate, spent: Some(spent), written: 0, events: 0, tokens: None }
    }

    fn settle(&mut self) {
        if let Some(spent) = self.spent.take() {
            spent.settle(self.written.max(self.events), self.tokens);
        }
    }
}

impl Stream for Counted {
    type Item = Result<Delta, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.deltas.as_mut().poll_next(context);
        match &polled {
            Poll::Ready(Some(Ok(delta))) => {
                self.written += estimate(&delta.text);
                self.events += 1;
                self.tokens = delta.tokens.or(self.tokens);
            }
            Poll::Ready(Some(Err(error))) => {
                self.gate.heard(error);
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
