//! Following an operation of the console to its end, with its steps on the terminal.

use std::collections::{HashMap, HashSet};

use memcloud_api::console::{Accepted, Operation, OperationEvent, Reason};
use memcloud_client::Console;
use memcloud_domain::Timestamp;

use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::output::{StepList, StepMark};

/// The flags of every command that begins an operation.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct WaitFlags {
    /// Return at once, and leave the operation to itself
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// Follows what was begun, unless it is not to be waited for, and prints what became of it. `done` is what people read then.
pub(crate) async fn follow(
    console: &Console,
    accepted: Accepted,
    wait: &WaitFlags,
    context: &Context,
    done: impl FnOnce(&Accepted),
) -> Result<Exit, Failure> {
    if wait.no_wait {
        if context.output.json {
            context.output.value(&accepted);
        }
        let id = &accepted.operation.id;
        context.output.say(format!("begun; 'memcloud operations show {id}' says what becomes of it"));
        return Ok(Exit::Ok);
    }
    let operation = to_end(console, &accepted.operation, context).await?;
    let instance = match console.instance(&accepted.instance.id).await {
        Ok(instance) => instance,
        // It is removed.
        Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => {
            memcloud_api::console::Instance {
                state: "removed".into(),
                url: None,
                reason: None,
                ..accepted.instance
            }
        }
        Err(error) => return Err(error.into()),
    };
    let ended = Accepted { instance, operation };
    if context.output.json {
        context.output.value(&ended);
    }
    outcome(&ended.operation)?;
    if !context.output.json {
        done(&ended);
    }
    Ok(Exit::Ok)
}

/// Shows the steps of an operation until it has ended.
pub(crate) async fn to_end(
    console: &Console,
    operation: &Operation,
    context: &Context,
) -> Result<Operation, Failure> {
    let steps = operation.steps.iter().map(|step| (step.name.as_str(), step.title.as_str()));
    let mut shown =
        Shown { steps: context.output.steps(steps), begun: HashMap::new(), failed: HashSet::new() };
    let mut events = console.events(&operation.id, 0);
    while let Some(event) = events.next().await? {
        shown.event(&event);
    }
    shown.steps.finish();
    Ok(console.operation(&operation.id).await?)
}

/// A failure with the reason of an operation that did not succeed.
pub(crate) fn outcome(operation: &Operation) -> Result<(), Failure> {
    if operation.state == "succeeded" {
        return Ok(());
    }
    let Operation { id, kind, state, reason, .. } = operation;
    let (message, hint) = match reason {
        Some(Reason { message, hint }) => (message.clone(), hint.clone()),
        None => {
            ("no reason was given".to_owned(), format!("'memcloud operations show {id}' shows its steps"))
        }
    };
    let became = if state == "cancelled" { "was cancelled" } else { "failed" };
    Err(Failure::new(format!("the operation '{kind}' {became}: {message}"), hint))
}

/// The steps as they are shown, with the moments at which they began.
struct Shown {
    steps: StepList,
    begun: HashMap<String, Timestamp>,
    /// Those that failed: that they are undone then says less.
    failed: HashSet<String>,
}

impl Shown {
    fn event(&mut self, event: &OperationEvent) {
        let Some(step) = &event.step else { return };
        if event.kind == "message" {
            return self.steps.says(step, &event.message);
        }
        match event.state.as_str() {
            "running" => drop(self.failed.remove(step)),
            "failed" => drop(self.failed.insert(step.clone())),
            "undoing" | "undone" if self.failed.contains(step) => return,
            _ => {}
        }
        let at = event.time.parse::<Timestamp>().ok();
        let mark = match event.state.as_str() {
            "running" | "undoing" => StepMark::Runs,
            "done" => StepMark::Done,
            "failed" | "stuck" => StepMark::Failed,
            "undone" => StepMark::Undone,
            _ => StepMark::Waits,
        };
        let detail = match mark {
            StepMark::Runs => {
                self.begun.extend(at.map(|at| (step.clone(), at)));
                if event.state == "undoing" { "is undone".to_owned() } else { String::new() }
            }
            StepMark::Done => {
                let begun = self.begun.get(step);
                let took = begun.zip(at).map(|(begun, at)| (at.as_micros() - begun.as_micros()) as f64 / 1e6);
                took.map(|seconds| format!("{seconds:.1} s")).unwrap_or_default()
            }
            StepMark::Failed => event.message.clone(),
            StepMark::Undone | StepMark::Waits => String::new(),
        };
        self.steps.set(step, mark, &detail);
    }
}
