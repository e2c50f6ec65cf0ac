//! Long-running operations: three forms of answer behind one wait.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::retry::Refusal;
use crate::transport::Call;
use crate::{Api, Cloud, Error, ErrorKind};

/// An operation that was begun. It can be kept, and waited for again after a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    api: Api,
    /// Where it is polled.
    path: String,
    /// What the service last answered; not kept.
    #[serde(skip)]
    answer: Value,
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// In the words of the service, such as `RUNNING`; empty where it says nothing.
    pub status: String,
    /// How much is done, where the service says it.
    pub percent: Option<u8>,
    /// The time since the wait began.
    pub elapsed: Duration,
}

enum State {
    Running { status: String, percent: Option<u8> },
    Done(Value),
    Failed(Refusal),
}

impl Operation {
    /// An operation with a name such as `operations/7` or `projects/p/locations/l/operations/7`, below a folder.
    pub(crate) fn named(api: Api, folder: &str, answer: Value) -> Result<Self, Error> {
        let Some(name) = answer["name"].as_str() else {
            return Err(Error::unreadable(api, "an operation without a name"));
        };
        let path = format!("{folder}/{name}");
        Ok(Self { api, path, answer })
    }

    /// Whether the service answered that it is done already.
    pub fn is_done(&self) -> bool {
        !matches!(self.state(), State::Running { .. })
    }

    fn state(&self) -> State {
        let answer = &self.answer;
        let done = match self.api {
            Api::Sql | Api::Compute | Api::Clusters => answer["status"] == "DONE",
            _ => answer["done"] == true,
        };
        if !done {
            let status = answer["status"].as_str().unwrap_or_default().to_owned();
            let percent = answer["progress"].as_u64().and_then(|percent| u8::try_from(percent).ok());
            return State::Running { status, percent };
        }
        let http_status =
            answer["httpErrorStatusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
        match answer.get("error").filter(|error| !error.is_null()) {
            Some(error) => State::Failed(Refusal::of_operation(error, http_status)),
            None => State::Done(answer["response"].clone()),
        }
    }
}

impl Cloud {
    /// Waits for the end of an operation, and returns its response where it has one. `progress` is called after each poll.
    /// An operation goes on when the wait is cancelled or its time is over.
    pub async fn wait(
        &self,
        operation: &Operation,
        mut progress: impl FnMut(&Progress) + Send,
    ) -> Result<Value, Error> {
        let mut pauses = self.pauses();
        let mut operation = operation.clone();
        loop {
            match operation.state() {
                State::Done(response) => return Ok(response),
                State::Failed(refusal) => return Err(failed(operation.api, &refusal)),
                State::Running { status, percent } => {
                    progress(&Progress { status, percent, elapsed: pauses.elapsed() });
                }
            }
            pauses.next(Duration::ZERO, Error::timed_out(operation.api)).await?;
            operation.answer = self.send(Call::get(operation.api, operation.path.clone())).await?;
        }
    }
}

fn failed(api: Api, refusal: &Refusal) -> Error {
    let (mut error, _) = refusal.meaning(api);
    let general = [ErrorKind::Invalid, ErrorKind::Unavailable, ErrorKind::Unauthenticated];
    if general.contains(&error.kind) {
        error.kind = ErrorKind::Failed;
        error.hint = "retry; if it fails again, check the resource in the console of Google Cloud".into();
    }
    let message =
        if refusal.message.is_empty() { refusal.reasons.join(" ") } else { refusal.message.clone() };
    error.message = format!("an operation of {api} failed: {}", message.trim_end_matches('.'));
    error
}
