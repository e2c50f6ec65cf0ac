//! What a call uses: reserved before it is made, corrected when the real numbers are known.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use memcloud_ports::{Charge, Delta, Deltas, ModelError, Tokens};

use crate::llm_gate::corrections::Corrections;
use crate::llm_gate::{MAX_TOKENS, ModelGateway, TokenEstimate};
use crate::text::token_count::estimate;

/// The charge of one call until it is settled. When it is dropped before the call is made, the charge is given back; after
/// that it stays, since the endpoint may have charged for the call too.
pub(crate) struct Reservation {
    corrections: Arc<Corrections>,
    charged: Charge,
    estimate: TokenEstimate,
    settled: bool,
    begun: bool,
}

impl Reservation {
    pub(crate) fn new(corrections: Arc<Corrections>, charged: Charge, estimate: TokenEstimate) -> Self {
        Self { corrections, charged, estimate, settled: false, begun: false }
    }

    /// The call is being made.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// The call ended. `written` is the estimated length of the answer, and `tokens` what the endpoint counted, if it did.
    pub(crate) fn settle(mut self, written: usize, tokens: Option<Tokens>) {
        let used = match tokens {
            Some(tokens) => tokens.prompt.saturating_add(tokens.completion).min(MAX_TOKENS),
            None => TokenEstimate { completion: written, ..self.estimate }.total(),
        };
        self.correct(0, used as i64 - self.charged.tokens as i64);
    }

    /// The call failed. An answer that never began costs no tokens; one that may have begun costs what was reserved.
    pub(crate) fn settle_failure(&mut self, error: &ModelError) {
        let tokens = match error {
            ModelError::Refused(_) | ModelError::Unreachable(_) => -(self.charged.tokens as i64),
            _ => 0,
        };
        self.correct(0, tokens);
    }

    fn correct(&mut self, calls: i64, tokens: i64) {
        if std::mem::replace(&mut self.settled, true) || (calls == 0 && tokens == 0) {
            return;
        }
        self.corrections.add(self.charged.at, calls, tokens);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.begun {
            return;
        }
        self.correct(-(self.charged.calls as i64), -(self.charged.tokens as i64));
    }
}

/// A streamed answer that settles its reservation when it ends or is dropped.
pub(crate) struct MeteredStream {
    deltas: Deltas,
    gateway: Arc<ModelGateway>,
    reservation: Option<Reservation>,
    /// The estimated tokens of the text so far.
    written: usize,
    /// Each event counts as at least one token: tool calls and reasoning have no text.
    events: usize,
    tokens: Option<Tokens>,
}

impl MeteredStream {
    pub(crate) fn new(deltas: Deltas, gateway: Arc<ModelGateway>, reservation: Reservation) -> Self {
        Self { deltas, gateway, reservation: Some(reservation), written: 0, events: 0, tokens: None }
    }

    fn settle(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(self.written.max(self.events), self.tokens);
        }
    }
}

impl Stream for MeteredStream {
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
                self.gateway.record_failure(error);
                self.settle();
            }
            Poll::Ready(None) => {
                self.gateway.breaker.succeeded();
                self.settle();
            }
            Poll::Pending => {}
        }
        polled
    }
}

impl Drop for MeteredStream {
    fn drop(&mut self) {
        self.settle();
    }
}
