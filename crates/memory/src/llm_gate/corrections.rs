//! Corrections of charges, collected for a moment and written in the background: one commit for many calls. What the
//! process did not write before it ended stays charged by its estimate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use memcloud_domain::Timestamp;
use memcloud_ports::{Span, UsageLedger};
use memcloud_tasks::Tasks;
use tokio::runtime::Handle;

/// How long corrections are collected.
const COLLECTED_FOR: Duration = Duration::from_millis(500);
/// How long the last ones may take when the process ends.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);

pub(crate) struct Corrections {
    ledger: Arc<dyn UsageLedger>,
    /// By the minute of the charge.
    waiting: Mutex<HashMap<i64, Correction>>,
    writing: Tasks,
}

#[derive(Clone, Copy)]
struct Correction {
    at: Timestamp,
    calls: i64,
    tokens: i64,
}

impl Corrections {
    pub(crate) fn new(ledger: Arc<dyn UsageLedger>) -> Self {
        Self { ledger, waiting: Mutex::default(), writing: Tasks::new() }
    }

    /// Corrects a charge of this moment, soon.
    pub(crate) fn add(self: &Arc<Self>, at: Timestamp, calls: i64, tokens: i64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = waiting.is_empty();
        let minute = waiting.entry(Span::Minute.began(at)).or_insert(Correction { at, calls: 0, tokens: 0 });
        minute.calls += calls;
        minute.tokens += tokens;
        // A call can also be dropped after its runtime.
        if is_first && Handle::try_current().is_ok() {
            let corrections = Arc::clone(self);
            self.writing.spawn("usage corrections", |stop| async move {
                stop.run_until_cancelled(tokio::time::sleep(COLLECTED_FOR)).await;
                corrections.write().await;
            });
        }
    }

    /// Writes what was collected so far, at once.
    pub(crate) async fn flush(&self) {
        self.writing.drain(WRITTEN_WITHIN).await;
    }

    async fn write(&self) {
        let collected = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for Correction { at, calls, tokens } in collected.into_values() {
            if let Err(error) = self.ledger.correct(at, calls, tokens).await {
                tracing::warn!(%error, calls, tokens, "cannot correct the usage of the language model; it stays estimated");
            }
        }
    }
}
