use crate::verify::run::Run;
use crate::verify::{Criterion, Evidence, Outcome};

/// Every request of the verification was answered within its time limit, those that delete its space included.
pub(in crate::verify) fn check(run: &Run<'_>) -> Evidence {
    let answers = run.answers();
    let (request, took) = answers.slowest.clone().unwrap_or_default();
    let millis = took.as_secs_f64() * 1_000.0;
    let received = match &answers.unanswered {
        None => format!("all were answered; the slowest, {request}, in {millis:.0} ms"),
        Some(reason) => reason.message.clone(),
    };
    let outcome = if answers.unanswered.is_none() { Outcome::Passed } else { Outcome::Failed };
    Evidence {
        criterion: Criterion::NoTimeout,
        outcome,
        sent: format!("{} requests", answers.requests),
        received,
        millis,
        at: run.clock.now(),
        reason: answers.unanswered.clone(),
    }
}
