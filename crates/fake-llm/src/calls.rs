//! The calls received, and which of them were charged.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::Fault;
use crate::reply::Reply;
use crate::request::Kind;

/// How many calls are kept. The totals keep counting.
const KEPT: usize = 10_000;

/// All calls since the last [`clear_calls`](crate::FakeLlm::clear_calls).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// The number of calls.
    pub calls: u64,
    /// The number of charged calls.
    pub charged: u64,
    /// The last 10,000 calls, oldest first.
    pub asked: VecDeque<Call>,
}

/// One call to chat completions or embeddings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Path and query.
    pub path: String,
    /// The body, or its text when it is not JSON.
    pub body: Value,
    /// The `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Whether it carried a key, in `Authorization` or `api-key`. The key itself is not kept.
    pub authorization: bool,
    /// Its purpose; `None` for embeddings and unreadable calls.
    pub kind: Option<Kind>,
    /// The status of the answer; `None` when it never gets one.
    pub status: Option<u16>,
    /// Whether an answer was computed for it: refused and repeated calls cost nothing.
    pub charged: bool,
    /// Whether it got the answer of an earlier call with the same `Idempotency-Key`.
    pub repeated: bool,
    /// The faults that applied to it.
    pub faults: Vec<Fault>,
    /// When all of it had arrived.
    #[serde(skip)]
    pub received: Option<Instant>,
    /// When its answer was about to be sent: the whole one, or the first word of a stream.
    #[serde(skip)]
    pub answered: Option<Instant>,
}

/// The calls, and the answers kept under an idempotency key.
#[derive(Debug, Default)]
pub(crate) struct Log {
    calls: Calls,
    answered: HashMap<String, Reply>,
    replies: u64,
}

impl Log {
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Clears the calls, not the answers kept under a key: a provider does not undo a charge when its log is cleared.
    pub(crate) fn clear(&mut self) {
        self.calls = Calls::default();
    }

    /// Keeps a call, and returns its number.
    pub(crate) fn note(&mut self, call: Call) -> u64 {
        tracing::info!(path = call.path, status = call.status, charged = call.charged, faults = ?call.faults, "asked");
        self.calls.calls += 1;
        self.calls.charged += u64::from(call.charged);
        if self.calls.asked.len() == KEPT {
            self.calls.asked.pop_front();
        }
        self.calls.asked.push_back(call);
        self.calls.calls
    }

    /// Notes that the call with this number is being answered now.
    pub(crate) fn note_answer(&mut self, number: u64) {
        let Calls { calls, asked, .. } = &mut self.calls;
        // The last call has the number `calls`. One that was cleared, or is not kept any more, has no place.
        let place = (asked.len() as u64 + number).checked_sub(*calls + 1);
        if let Some(call) = place.and_then(|place| asked.get_mut(place as usize)) {
            call.answered.get_or_insert_with(Instant::now);
        }
    }

    /// The answer given under this key before, or a new one, and whether it is new.
    pub(crate) fn answer(&mut self, key: Option<&str>, make: impl FnOnce(u64) -> Reply) -> (Reply, bool) {
        if let Some(reply) = key.and_then(|key| self.answered.get(key)) {
            return (reply.clone(), false);
        }
        self.replies += 1;
        let reply = make(self.replies);
        if let Some(key) = key {
            self.answered.insert(key.to_owned(), reply.clone());
        }
        (reply, true)
    }
}
