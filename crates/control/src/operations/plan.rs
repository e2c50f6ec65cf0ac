use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{Display, EnumString, IntoStaticStr};

use crate::instances::State;

/// What happens to the steps that are done when one fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum OnFailure {
    /// They are undone, last first. A retry does them again.
    Undo,
    /// They stay done. A retry goes on with the step that failed.
    Keep,
}

/// What will be done, in which order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps. Each waits for those that it names, which come before it.
    pub steps: Vec<PlannedStep>,
    /// What happens when one fails.
    pub on_failure: OnFailure,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Names the step to its target; no other step of the plan has the name.
    pub name: String,
    /// What it does, for people: `start the process`.
    pub title: String,
    /// The steps that must be done before it. Steps that do not wait for each other run side by side.
    pub after: Vec<String>,
    /// What the instance is while the step runs; `None` where it stays what it is.
    pub phase: Option<State>,
    /// What it is given. No secret.
    pub inputs: Value,
}

impl Plan {
    /// A plan whose steps run one after the other.
    pub fn in_order(on_failure: OnFailure, steps: impl IntoIterator<Item = PlannedStep>) -> Self {
        let mut ordered: Vec<PlannedStep> = Vec::new();
        for mut step in steps {
            step.after = ordered.last().map(|before| before.name.clone()).into_iter().collect();
            ordered.push(step);
        }
        Self { steps: ordered, on_failure }
    }
}

impl PlannedStep {
    /// A step without inputs that waits for no other.
    pub fn new(name: &str, title: &str, phase: State) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            after: Vec::new(),
            phase: Some(phase),
            inputs: Value::Null,
        }
    }

    /// The same step, which waits for these.
    #[must_use]
    pub fn after(self, steps: &[&str]) -> Self {
        Self { after: steps.iter().map(|&step| step.to_owned()).collect(), ..self }
    }

    /// The same step with these inputs.
    #[must_use]
    pub fn with(self, inputs: Value) -> Self {
        Self { inputs, ..self }
    }
}
