//! Corrections of what was counted beforehand, gathered for a moment: one commit for many calls, which nobody waits for.
//! What is not corrected, since the process ended, stays counted by the estimate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use memcloud_domain::Timestamp;
use tokio::runtime::Handle;

use memcloud_ports::{Span, UsageLedger};

/// How long they are gathered.
const GATHERED_FOR: Duration = Duration::from_millis(500);

pub(crate) struct Corrections {
    usage: Arc<dyn UsageLedger>,
    /// By the minute that they belong to.
    waiting: Mutex<HashMap<i64, Correction>>,
}

#[derive(Clone, Copy)]
struct Correction {
    at: Timestamp,
    calls: i64,
    tokens: i64,
}

impl Corrections {
    pub(crate) fn new(usage: Arc<dyn UsageLedger>) -> Self {
        Self { usage, waiting: Mutex::default() }
    }

    /// Corrects what was counted at that moment, soon.
    pub(crate) fn add(self: &Arc<Self>, at: Timestamp, calls: i64, tokens: i64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = waiting.is_empty();
        let minute = waiting.entry(Span::Minute.began(at)).or_insert(Correction { at, calls: 0, tokens: 0 });
        minute.calls += calls;
        minute.tokens += tokens;
        if let (true, Ok(runtime)) = (is_first, Handle::try_current()) {
            let corrections = Arc::clone(self);
            runtime.spawn(async move {
                tokio::time::sleep(GATHERED_FOR).await;
                corrections.write().await;
            });
        }
    }

    async fn write(&self) {
        let gathered = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for Correction { at, calls, tokens } in gathered.into_values() {
            if let Err(error) = self.usage.correct(at, calls, tokens).await {
                tracing::warn!(%error, "what the language model took is counted by the estimate");
            }
        }
    }
}
