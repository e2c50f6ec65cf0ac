use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memcloud_client::Error;
use memcloud_domain::{Timestamp, excerpt, with_causes};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::run::Run;
use super::{Criterion, Evidence, Outcome};
use crate::instances::Reason;

/// How much of a request and of an answer evidence shows, in characters.
const SENT_CHARS: usize = 800;
const RECEIVED_CHARS: usize = 400;
/// What to do when an instance answers too late or not at all.
const OVERLOADED: &str =
    "read the log of the instance, and check that its machine and its databases are not overloaded";
/// What to do when an answer that needs the language model comes too late.
const SLOW_LLM: &str =
    "check that the language model answers: 'memcloud doctor' asks it, and so does its own API";
/// What to do when something else than an instance answers.
const STRANGER: &str =
    "check that the address is that of the instance, and that no other program answers there";

/// A request, as evidence shows it.
pub(super) struct Request {
    line: String,
    body: Option<Value>,
    limit: Option<Duration>,
    /// What to do when there is no answer in time.
    hint: &'static str,
}

impl Request {
    pub(super) fn get(path: &str) -> Self {
        Self { line: format!("GET {path}"), body: None, limit: None, hint: OVERLOADED }
    }

    pub(super) fn delete(path: &str) -> Self {
        Self { line: format!("DELETE {path}"), ..Self::get(path) }
    }

    pub(super) fn post(path: &str, body: &impl Serialize) -> Self {
        Self { line: format!("POST {path}"), body: serde_json::to_value(body).ok(), ..Self::get(path) }
    }

    /// The same request, which waits for the language model and may take as long as this.
    pub(super) fn of_llm(self, limit: Duration) -> Self {
        Self { limit: Some(limit), hint: SLOW_LLM, ..self }
    }

    fn shown(&self) -> String {
        match &self.body {
            Some(body) => excerpt(&format!("{} {body}", self.line), SENT_CHARS),
            None => self.line.clone(),
        }
    }
}

/// Why a criterion did not pass.
#[derive(Debug)]
pub(super) struct Finding {
    outcome: Outcome,
    reason: Reason,
}

impl Finding {
    pub(super) fn failed(message: impl Into<String>, hint: &str) -> Self {
        Self { outcome: Outcome::Failed, reason: Reason::new(message, hint) }
    }

    pub(super) fn not_checked(reason: Reason) -> Self {
        Self { outcome: Outcome::NotChecked, reason }
    }

    /// What is wrong, for people.
    pub(super) fn message(&self) -> &str {
        &self.reason.message
    }

    /// The instance refused what a working one does.
    pub(super) fn of(error: &Error) -> Self {
        let hint = match error {
            Error::Refused(refusal) => refusal.hint.as_deref().unwrap_or(STRANGER),
            Error::Unreachable { .. } => OVERLOADED,
            _ => STRANGER,
        };
        Self::failed(excerpt(&with_causes(error), RECEIVED_CHARS), hint)
    }
}

impl From<Reason> for Finding {
    fn from(reason: Reason) -> Self {
        Self { outcome: Outcome::Failed, reason }
    }
}

/// The requests and answers of one criterion.
pub(super) struct Trail<'a> {
    pub(super) run: &'a Run<'a>,
    /// When its requests must have been answered, and what ends them before.
    deadline: Instant,
    stop: CancellationToken,
    began: Instant,
    at: Timestamp,
    exchanges: Mutex<Vec<(String, String)>>,
}

impl<'a> Trail<'a> {
    /// The requests of a criterion that is about to be checked.
    pub(super) fn of(run: &'a Run<'a>) -> Self {
        Self::until(run, run.deadline, run.options.stop.clone())
    }

    /// Requests that are sent whatever happened before, and may take this long together.
    pub(super) fn at_last(run: &'a Run<'a>, limit: Duration) -> Self {
        Self::until(run, Instant::now() + limit, CancellationToken::new())
    }

    fn until(run: &'a Run<'a>, deadline: Instant, stop: CancellationToken) -> Self {
        let (began, at) = (Instant::now(), run.clock.now());
        Self { run, deadline, stop, began, at, exchanges: Mutex::default() }
    }

    /// How much time is left.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Sends a request that a working instance accepts.
    pub(super) async fn send<T: Serialize>(
        &self,
        request: Request,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Finding> {
        self.ask(request, call).await?.map_err(|error| Finding::of(&error))
    }

    /// Sends a request, and notes it with its answer. Fails when there is no answer in time.
    pub(super) async fn ask<T: Serialize>(
        &self,
        request: Request,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, Finding> {
        let limit = request.limit.unwrap_or(self.run.options.request_limit);
        let began = Instant::now();
        let answer = self.limited(limit, call).await?;
        let answer = answer.map_err(|limit| {
            let seconds = limit.as_secs_f64();
            Finding::failed(format!("{} was not answered within {seconds:.1} s", request.line), request.hint)
        });
        let unanswered = match &answer {
            Err(finding) => Some(finding.reason.clone()),
            Ok(Err(error)) if error.is_unreachable() => Some(Finding::of(error).reason),
            Ok(_) => None,
        };
        self.run.answers().count(&request.line, began.elapsed(), unanswered);
        let received = match &answer {
            Err(finding) => finding.reason.message.clone(),
            Ok(Err(error)) => with_causes(error),
            Ok(Ok(answer)) => serde_json::to_string(answer).unwrap_or_default(),
        };
        self.note(request.shown(), &received);
        answer
    }

    /// Waits for something as long as there is time: `Err` with the limit when it takes longer.
    pub(super) async fn limited<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<Result<T, Duration>, Finding> {
        let limit = limit.min(self.left());
        if limit.is_zero() {
            return Err(Finding::failed("the verification took too long", OVERLOADED));
        }
        tokio::select! {
            done = tokio::time::timeout(limit, work) => Ok(done.map_err(|_| limit)),
            () = self.stop.cancelled() => Err(Finding::not_checked(Reason::new(
                "the verification was interrupted",
                "verify the instance again",
            ))),
        }
    }

    /// Notes what was sent and what came back. The answer to a request that is repeated replaces the one before.
    pub(super) fn note(&self, sent: String, received: &str) {
        let received = excerpt(received, RECEIVED_CHARS);
        let mut exchanges = self.exchanges();
        match exchanges.iter_mut().find(|before| before.0 == sent) {
            Some(before) => before.1 = received,
            None => exchanges.push((sent, received)),
        }
    }

    /// The evidence: what was sent and received, one exchange a line, and what was found.
    pub(super) fn conclude(self, criterion: Criterion, found: Result<(), Finding>) -> Evidence {
        let (sent, received): (Vec<String>, Vec<String>) = self.exchanges().drain(..).unzip();
        let (outcome, reason) = match found {
            Ok(()) => (Outcome::Passed, None),
            Err(Finding { outcome, reason }) => (outcome, Some(reason)),
        };
        Evidence {
            criterion,
            outcome,
            sent: sent.join("\n"),
            received: received.join("\n"),
            millis: self.began.elapsed().as_secs_f64() * 1_000.0,
            at: self.at,
            reason,
        }
    }

    fn exchanges(&self) -> MutexGuard<'_, Vec<(String, String)>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
