//! `POST /api/plan`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::{
    Alternative, Check, CostOfMany, NewInstance, PlannedInstance, PlannedStep, Price, PricePart,
};
use memcloud_control::targets::{self, Outlook};
use memcloud_control::{Caller, operations};
use memcloud_http::{Allowed, ApiError, Read, TypedBody};

use super::instances::new_instance;
use super::reason::reason;
use crate::App;
use crate::error::refused;

/// Says what would be done to make an instance. Nothing is done.
#[utoipa::path(
    post,
    path = "/api/plan",
    operation_id = "plan_instance",
    tag = "instances",
    request_body = NewInstance,
    responses((status = 200, description = "The plan.", body = PlannedInstance)),
)]
pub(crate) async fn plan(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: TypedBody<NewInstance>,
) -> Result<Json<PlannedInstance>, ApiError> {
    let new = body.known_fields_only().checked(new_instance)?;
    let (instance, draft) = app.control.plan(&caller, &new).await.map_err(refused)?;
    let Outlook { checks, price, alternatives, warnings } = draft.outlook.unwrap_or_default();
    Ok(Json(PlannedInstance {
        name: instance.name.into(),
        target: instance.target.to_string(),
        topology: instance.topology.to_string(),
        refusals: draft.refusals.into_iter().map(reason).collect(),
        warnings: warnings.into_iter().map(reason).collect(),
        checks: checks.into_iter().map(check).collect(),
        steps: draft.plan.steps.into_iter().map(step).collect(),
        // A process of this machine costs nothing.
        monthly_cost_usd: price.as_ref().map_or(0.0, targets::Price::monthly_usd),
        price: price.map(shown_price),
        alternatives: alternatives.into_iter().map(alternative).collect(),
    }))
}

fn step(step: operations::PlannedStep) -> PlannedStep {
    PlannedStep { name: step.name, title: step.title, after: step.after }
}

fn check(check: targets::Check) -> Check {
    let targets::Check { name, state, found } = check;
    let hint = Some(found.hint).filter(|hint| !hint.is_empty());
    Check { name, state: state.to_string(), message: found.message, hint }
}

fn shown_price(price: targets::Price) -> Price {
    let stopped_usd = price.stopped_usd();
    let part = |part: targets::PricePart| PricePart {
        name: part.name,
        monthly_usd: part.monthly_usd,
        stopped_usd: part.stopped_usd,
        estimate: part.is_estimate,
        source: part.source,
    };
    Price { as_of: price.as_of, stopped_usd, parts: price.parts.into_iter().map(part).collect() }
}

fn alternative(alternative: targets::Alternative) -> Alternative {
    let cost = |(instances, monthly_usd)| CostOfMany { instances, monthly_usd };
    Alternative {
        topology: alternative.topology.to_string(),
        costs: alternative.monthly_usd.into_iter().map(cost).collect(),
        cheaper_from: alternative.cheaper_from,
        setup: alternative.setup,
        upkeep: alternative.upkeep,
    }
}
