use memcloud_domain::Timestamp;

use super::history::ENOUGH;
use super::{History, Observation, Readiness};
use crate::instances::{Instance, Reason, State, Wanted};
use crate::operations::OperationKind;
use crate::targets::Observed;

/// What to do about an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing, for now.
    Nothing,
    /// Write down what it is, and why.
    Mark(State, Option<Reason>),
    /// Begin an operation.
    Begin(OperationKind),
}

/// Decides what to do about an instance that has no operation.
///
/// | wanted | process | ready | action |
/// |---|---|---|---|
/// | running | gone | | it has crashed; recover it at once, then after 1, 2, 4 and 8 s; after five attempts it is degraded, and recovered every minute |
/// | running | alive | no | it is degraded, with the reason that it gives |
/// | running | alive | yes | recover it, which verifies it, unless it is running |
/// | running | alive | not known | nothing |
/// | stopped | alive | | stop it |
/// | stopped | gone | | it is stopped |
/// | removed | alive | | go on with the deletion |
/// | removed | gone | | nothing: its last operation says what is left |
///
/// An instance that could not be made, or is removed, is left alone.
pub fn decide(instance: &Instance, observed: &Observation, history: &History, now: Timestamp) -> Action {
    if matches!(instance.state, State::Failed | State::Removed) {
        return Action::Nothing;
    }
    match (instance.wanted, observed.process) {
        (Wanted::Running, Observed::Gone) => gone(instance, history, now),
        (Wanted::Running, Observed::Alive) => alive(instance, &observed.readiness, history, now),
        (Wanted::Stopped, Observed::Gone) => mark(instance, State::Stopped, None),
        (Wanted::Stopped, Observed::Alive) if history.is_due(now) => Action::Begin(OperationKind::Stop),
        (Wanted::Removed, Observed::Alive) if history.is_due(now) => Action::Begin(OperationKind::Delete),
        (Wanted::Stopped | Wanted::Removed, _) => Action::Nothing,
    }
}

/// It should run, and its process is not there.
fn gone(instance: &Instance, history: &History, now: Timestamp) -> Action {
    let attempts = history.attempts();
    let state = if attempts < ENOUGH { State::Crashed } else { State::Degraded };
    if instance.state == state {
        return begin_if(history.is_due(now), OperationKind::Recover);
    }
    // After an attempt that failed the instance has its reason.
    let last = instance.reason.clone().filter(|_| attempts > 0);
    let reason = match (state, last) {
        (State::Degraded, Some(last)) => Reason {
            message: format!("it ended after each of {attempts} attempts: {}", last.message),
            ..last
        },
        (_, Some(last)) => last,
        (_, None) => {
            Reason::new("its process ended by itself", "it is started again; its log says why it ended")
        }
    };
    mark(instance, state, Some(reason))
}

/// It should run, and its process is there.
fn alive(instance: &Instance, readiness: &Readiness, history: &History, now: Timestamp) -> Action {
    match readiness {
        Readiness::Unknown => Action::Nothing,
        Readiness::NotReady(reason)
            if instance.state == State::Degraded && instance.reason.as_ref() == Some(reason) =>
        {
            Action::Nothing
        }
        Readiness::NotReady(reason) => Action::Mark(State::Degraded, Some(reason.clone())),
        Readiness::Ready if instance.state == State::Running => Action::Nothing,
        Readiness::Ready => begin_if(history.is_due_for_ready(now), OperationKind::Recover),
    }
}

fn mark(instance: &Instance, state: State, reason: Option<Reason>) -> Action {
    if instance.state == state { Action::Nothing } else { Action::Mark(state, reason) }
}

fn begin_if(is_due: bool, kind: OperationKind) -> Action {
    if is_due { Action::Begin(kind) } else { Action::Nothing }
}
