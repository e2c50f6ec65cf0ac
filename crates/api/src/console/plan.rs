use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reason;

/// What would be done to make an instance, and what is known about it beforehand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlannedInstance {
    /// Its name.
    pub name: String,
    /// Where it would run.
    pub target: String,
    /// What it would keep its memory in.
    pub topology: String,
    /// Why it would be refused, each reason with its hint. Empty when nothing speaks against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Reason>,
    /// What its owner should know, each with a hint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Reason>,
    /// What was checked where it would be made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// The steps, in order.
    pub steps: Vec<PlannedStep>,
    /// What it would cost a month, in US dollars.
    pub monthly_cost_usd: f64,
    /// The same by part; null where it costs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// The topologies of the target side by side, the planned one among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedStep {
    /// Its name in the plan.
    pub name: String,
    /// What it does.
    pub title: String,
    /// The steps that it waits for.
    pub after: Vec<String>,
}

/// Something that was checked before an instance is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanCheck)]
pub struct Check {
    /// What was checked: `billing`, `permissions`, …
    pub name: String,
    /// `ok`, `failed` or `unknown`.
    pub state: String,
    /// What was found.
    pub message: String,
    /// What to do about it; null where that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What an instance costs, as list prices of a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanPrice)]
pub struct Price {
    /// The day of the prices.
    pub as_of: String,
    /// What the instance costs a month while it is stopped, in US dollars.
    pub stopped_usd: f64,
    /// What bills.
    pub parts: Vec<PricePart>,
}

/// What one part of an instance costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PricePart {
    /// What it is.
    pub name: String,
    /// In US dollars a month.
    pub monthly_usd: f64,
    /// What it costs a month while the instance is stopped, in US dollars.
    pub stopped_usd: f64,
    /// Whether a figure in it is an estimate, because no published one was found.
    pub estimate: bool,
    /// Where the figures are from.
    pub source: String,
}

/// A topology among the others of its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanAlternative)]
pub struct Alternative {
    /// The topology.
    pub topology: String,
    /// What several numbers of instances cost together.
    pub costs: Vec<CostOfMany>,
    /// The fewest instances from which it costs less than the planned one; null where it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cheaper_from: Option<u32>,
    /// How long it takes to make.
    pub setup: String,
    /// What its owner has to do for it.
    pub upkeep: String,
}

/// What a number of instances costs together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostOfMany {
    /// How many.
    pub instances: u32,
    /// In US dollars a month.
    pub monthly_usd: f64,
}
