use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memcloud_domain::Clock;
use tokio::time::Instant;

use super::script::Script;
use super::{Criterion, Evidence, Options, Outcome};
use crate::instances::Reason;

/// What the criteria of one verification share.
pub(super) struct Run<'a> {
    pub(super) script: Script,
    pub(super) options: &'a Options,
    pub(super) clock: &'a dyn Clock,
    /// When the criteria must have been checked.
    pub(super) deadline: Instant,
    answers: Mutex<Answers>,
}

/// How the requests of a verification were answered.
#[derive(Default)]
pub(super) struct Answers {
    /// How many requests were sent.
    pub(super) requests: usize,
    /// The request that took the longest, and how long it took.
    pub(super) slowest: Option<(String, Duration)>,
    /// Why the first request without an answer has none.
    pub(super) unanswered: Option<Reason>,
}

impl Answers {
    pub(super) fn count(&mut self, request: &str, took: Duration, unanswered: Option<Reason>) {
        self.requests += 1;
        if self.slowest.as_ref().is_none_or(|(_, slowest)| took > *slowest) {
            self.slowest = Some((request.to_owned(), took));
        }
        if self.unanswered.is_none() {
            self.unanswered = unanswered;
        }
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(options: &'a Options, clock: &'a dyn Clock) -> Self {
        let deadline = Instant::now() + options.time_limit;
        Self { script: Script::random(), options, clock, deadline, answers: Mutex::default() }
    }

    /// Evidence that a criterion was not checked, and why.
    pub(super) fn not_checked(&self, criterion: Criterion, reason: Reason) -> Evidence {
        Evidence {
            criterion,
            outcome: Outcome::NotChecked,
            sent: String::new(),
            received: String::new(),
            millis: 0.0,
            at: self.clock.now(),
            reason: Some(reason),
        }
    }

    /// Evidence that profile and chat were not checked, for this reason or because there is no language model.
    pub(super) fn without_chat(&self, reason: &Reason) -> [Evidence; 2] {
        let reason = if self.options.has_llm { reason.clone() } else { no_model() };
        [Criterion::Profile, Criterion::Chat].map(|criterion| self.not_checked(criterion, reason.clone()))
    }

    pub(super) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an instance without a language model neither chats nor learns.
pub(super) fn no_model() -> Reason {
    Reason::new("no language model is set", "set a language model for the instance, then verify it")
}
