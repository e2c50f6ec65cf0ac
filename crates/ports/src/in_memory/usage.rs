use async_trait::async_trait;
use memcloud_domain::{Error, Timestamp};

use super::{InMemoryEngine, State};
use crate::{Budget, Charge, Span, Usage, UsageLedger};

impl State {
    fn used(&self, at: Timestamp) -> (Usage, Usage) {
        let of = |span| self.usage.get(&key(span, at)).copied().unwrap_or_default();
        (of(Span::Minute), of(Span::Day))
    }
}

fn key(span: Span, at: Timestamp) -> (i64, i64) {
    (span.micros(), span.began(at))
}

#[async_trait]
impl UsageLedger for InMemoryEngine {
    async fn spend(&self, charge: Charge, budget: &Budget) -> Result<Option<Span>, Error> {
        let mut state = self.state();
        let (minute, day) = state.used(charge.at);
        if let Some(span) = budget.exhausted(minute, day, charge) {
            return Ok(Some(span));
        }
        for span in [Span::Minute, Span::Day] {
            let used = state.usage.entry(key(span, charge.at)).or_default();
            used.calls += charge.calls;
            used.tokens += charge.tokens;
            let oldest = charge.at.as_micros() - span.kept_for();
            state.usage.retain(|(length, began), _| *length != span.micros() || *began >= oldest);
        }
        Ok(None)
    }

    async fn correct(&self, at: Timestamp, calls: i64, tokens: i64) -> Result<(), Error> {
        let mut state = self.state();
        for span in [Span::Minute, Span::Day] {
            if let Some(used) = state.usage.get_mut(&key(span, at)) {
                used.calls = used.calls.saturating_add_signed(calls);
                used.tokens = used.tokens.saturating_add_signed(tokens);
            }
        }
        Ok(())
    }

    async fn usage(&self, at: Timestamp) -> Result<(Usage, Usage), Error> {
        Ok(self.state().used(at))
    }
}
