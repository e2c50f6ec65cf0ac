//! Verifications of real instances, and of servers that only pretend to be one.
#![expect(clippy::disallowed_methods, reason = "a test serves its own instance")]
#![expect(clippy::disallowed_types, reason = "a test is a composition root")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod liar;
mod lying;
mod running;
mod working;

use memcloud_control::verify::{Criterion, Evidence, Outcome};

/// The outcome of a criterion, and what its reason says.
fn outcome(evidence: &[Evidence], criterion: Criterion) -> (Outcome, String) {
    let seen = evidence.iter().find(|seen| seen.criterion == criterion).unwrap();
    let reason = seen.reason.as_ref();
    assert_eq!(reason.is_some(), seen.outcome != Outcome::Passed, "{seen:?}");
    assert!(reason.is_none_or(|reason| !reason.message.is_empty() && !reason.hint.is_empty()), "{seen:?}");
    (seen.outcome, reason.map(|reason| reason.message.clone()).unwrap_or_default())
}

/// The criteria with this outcome, in order.
fn with_outcome(evidence: &[Evidence], outcome: Outcome) -> Vec<Criterion> {
    evidence.iter().filter(|seen| seen.outcome == outcome).map(|seen| seen.criterion).collect()
}
