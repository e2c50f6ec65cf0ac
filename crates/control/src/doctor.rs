//! What a check of the control plane's parts finds.

use memcloud_domain::with_causes;
use strum::{Display, IntoStaticStr};

use crate::instances::{Instance, Name, Reason, State, Wanted};
use crate::reconcile::{Observation, Readiness, no_answer};
use crate::targets::Observed;
use crate::{Error, SealError};

/// A part that an organization's instances rest on.
#[derive(Clone, Debug, PartialEq, Eq, Display)]
#[strum(serialize_all = "snake_case")]
pub enum Part {
    /// The database of the control plane.
    Database,
    /// The key that seals secrets.
    SealingKey,
    /// An instance.
    Instance(Name),
}

/// Whether a part works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum PartState {
    /// It does, or is not there because it is not wanted.
    Ok,
    /// It does not.
    Failed,
    /// An operation is changing it.
    Changing,
}

/// A part and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The part.
    pub part: Part,
    /// Whether it works.
    pub state: PartState,
    /// Why it does not.
    pub reason: Option<Reason>,
}

impl Examined {
    pub(crate) fn database(error: Option<&Error>) -> Self {
        let reason = error.map(|error| {
            Reason::new(with_causes(error), "check the disk and the file; the console's log says more")
        });
        Self::of(Part::Database, reason)
    }

    /// `unreadable` is an instance whose settings cannot be opened.
    pub(crate) fn sealing_key(unreadable: Option<(&Instance, Error)>) -> Self {
        let reason = unreadable.map(|(instance, error)| {
            let hint = match error {
                Error::Sealed(SealError::UnknownKey(_)) => "add the earlier key to the sealing keys",
                _ => "restore the database of the control plane from a backup",
            };
            let message =
                format!("the settings of '{}' cannot be opened: {}", instance.name, with_causes(&error));
            Reason::new(message, hint)
        });
        Self::of(Part::SealingKey, reason)
    }

    /// An instance that cannot be observed, because its target is missing.
    pub(crate) fn without_target(instance: Instance, error: &Error) -> Self {
        let reason = Reason::new(error.to_string(), "start a console that has this target");
        Self::of(Part::Instance(instance.name), Some(reason))
    }

    /// An instance, and what was observed of it just now.
    pub(crate) fn instance(instance: Instance, observed: Observation) -> Self {
        let name = instance.name;
        let broken = match (observed.process, observed.readiness) {
            (Observed::Gone, _) => Some(Reason::new(
                "its process ended by itself",
                "it is started again; its log says why it ended",
            )),
            (Observed::Alive, Readiness::Unknown) => Some(no_answer()),
            (Observed::Alive, Readiness::NotReady(reason)) => Some(reason),
            (Observed::Alive, Readiness::Ready) => None,
        };
        let state = match instance.state {
            State::Running => return Self::of(Part::Instance(name), broken),
            State::Removed => PartState::Ok,
            State::Stopped if instance.wanted == Wanted::Stopped => PartState::Ok,
            State::Degraded | State::Crashed | State::Failed | State::Stopped => PartState::Failed,
            State::Queued | State::Preparing | State::Deploying | State::Checking | State::Removing => {
                PartState::Changing
            }
        };
        let reason = instance.reason.filter(|_| state != PartState::Ok);
        Self { part: Part::Instance(name), state, reason }
    }

    fn of(part: Part, reason: Option<Reason>) -> Self {
        let state = if reason.is_some() { PartState::Failed } else { PartState::Ok };
        Self { part, state, reason }
    }
}
