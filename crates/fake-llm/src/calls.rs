//! What was asked, and what it would have cost.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::Fault;
use crate::reply::Reply;
use crate::request::Kind;

/// How many calls are remembered. The totals count on.
const KEPT: usize = 10_000;

/// All calls since the last [`clear_calls`](crate::DevModel::clear_calls).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// How many there were.
    pub calls: u64,
    /// How many of them were charged.
    pub charged: u64,
    /// The last 10,000 of them, the oldest first.
    pub asked: VecDeque<Call>,
}

/// One call of chat completions or embeddings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Path and query.
    pub path: String,
    /// The body, or its text when it is no JSON.
    pub body: Value,
    /// The `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Whether it showed a key, in `Authorization` or `api-key`. The key itself is not kept.
    pub authorization: bool,
    /// What it was for; `None` for embeddings and for what could not be read.
    pub kind: Option<Kind>,
    /// The status of the answer; `None` when there never is one.
    pub status: Option<u16>,
    /// Whether an answer was worked out for it: refused calls and repeated ones cost nothing.
    pub charged: bool,
    /// Whether it got the answer that an earlier call with its `Idempotency-Key` had got.
    pub repeated: bool,
    /// What it suffered.
    pub faults: Vec<Fault>,
}

/// The calls, and the answers that are known by a key.
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

    /// Answers that are known by a key stay known: a provider forgets no charge because somebody has read the bill.
    pub(crate) fn clear(&mut self) {
        self.calls = Calls::default();
    }

    pub(crate) fn note(&mut self, call: Call) {
        tracing::info!(path = call.path, status = call.status, charged = call.charged, faults = ?call.faults, "asked");
        self.calls.calls += 1;
        self.calls.charged += u64::from(call.charged);
        if self.calls.asked.len() == KEPT {
            self.calls.asked.pop_front();
        }
        self.calls.asked.push_back(call);
    }

    /// The answer that was given under this key before, or else a new one, and whether it is new.
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
