use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{Display, EnumString, IntoStaticStr};

use crate::Error;
use crate::instances::{Reason, Topology};
use crate::operations::Plan;

/// What a target would do, and what it knows about that beforehand.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The steps.
    pub plan: Plan,
    /// The place of a new instance with everything in it that its target has filled in; `None` where it stays as it is.
    pub placement: Option<Value>,
    /// Why it will not be done. Empty when nothing speaks against it.
    pub refusals: Vec<Reason>,
    /// What a new instance means for its owner. `None` where it costs nothing and needs no checks.
    pub outlook: Option<Outlook>,
}

impl Draft {
    /// The steps, unless something speaks against them.
    pub fn accepted(self) -> Result<Plan, Error> {
        if self.refusals.is_empty() { Ok(self.plan) } else { Err(Error::Refused(self.refusals)) }
    }
}

impl From<Plan> for Draft {
    /// Steps that nothing speaks against.
    fn from(plan: Plan) -> Self {
        Self { plan, placement: None, refusals: Vec::new(), outlook: None }
    }
}

/// What a new instance means for its owner: what was checked, what it costs, and what else there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// What was checked where it would be made.
    pub checks: Vec<Check>,
    /// What it costs. `None` when no price is known.
    pub price: Option<Price>,
    /// What it and the other topologies of its target cost, for several numbers of instances.
    pub alternatives: Vec<Alternative>,
    /// What its owner should know. It does not speak against the plan.
    pub warnings: Vec<Reason>,
}

/// Something that was checked before an instance is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked: `billing`, `permissions`, …
    pub name: String,
    /// What was found.
    pub state: CheckState,
    /// The same in words, and what to do where that is needed.
    pub found: Reason,
}

/// What a check found.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum CheckState {
    /// It is as it has to be, or will be made so by a step.
    Ok,
    /// It is not, and the instance cannot be made.
    Failed,
    /// It could not be found out.
    Unknown,
}

/// What an instance costs a month, as a list price.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// The day of the newest of the prices, such as `2026-11-23`.
    pub as_of: String,
    /// What bills.
    pub parts: Vec<PricePart>,
}

impl Price {
    /// The sum, in US dollars a month.
    pub fn monthly_usd(&self) -> f64 {
        self.parts.iter().map(|part| part.monthly_usd).sum()
    }

    /// The sum while the instance is stopped, in US dollars a month.
    pub fn stopped_usd(&self) -> f64 {
        self.parts.iter().map(|part| part.stopped_usd).sum()
    }
}

/// What one part of an instance costs.
#[derive(Clone, Debug, PartialEq)]
pub struct PricePart {
    /// What it is, for people: `Cloud SQL, db-f1-micro`.
    pub name: String,
    /// In US dollars a month.
    pub monthly_usd: f64,
    /// What it still costs while the instance is stopped.
    pub stopped_usd: f64,
    /// Whether a figure in it is an estimate because no published one was found.
    pub is_estimate: bool,
    /// Where the figures are from.
    pub source: String,
}

/// A topology among the others of its target.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// The topology.
    pub topology: Topology,
    /// Numbers of instances, and what so many cost together, in US dollars a month.
    pub monthly_usd: Vec<(u32, f64)>,
    /// The fewest instances from which it costs less than the one that was asked for. `None` where it never does.
    pub cheaper_from: Option<u32>,
    /// How long it takes to make, for people.
    pub setup: String,
    /// What its owner has to do for it, for people.
    pub upkeep: String,
}
