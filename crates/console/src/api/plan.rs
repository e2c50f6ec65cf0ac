//! `POST /api/plan`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::{NewInstance, PlannedInstance, PlannedStep};
use memcloud_control::Caller;
use memcloud_http::{Allowed, ApiError, Read, TypedBody};

use super::instances::new_instance;
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
    let (instance, plan) = app.control.plan(&caller, &new).map_err(refused)?;
    let step = |step: memcloud_control::operations::PlannedStep| PlannedStep {
        name: step.name,
        title: step.title,
        after: step.after,
    };
    Ok(Json(PlannedInstance {
        name: instance.name.into(),
        target: instance.target.to_string(),
        topology: instance.topology.to_string(),
        steps: plan.steps.into_iter().map(step).collect(),
        // A process of this machine costs nothing.
        monthly_cost_usd: 0.0,
    }))
}
