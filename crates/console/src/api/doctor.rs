//! `GET /api/doctor`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::{Doctor, Part as ApiPart};
use memcloud_control::{Caller, Examined, Part};
use memcloud_http::{Allowed, Read};

use super::reason::reason;
use crate::App;

/// Examines now the database of the control plane, its sealing key and each instance.
#[utoipa::path(
    get,
    path = "/api/doctor",
    tag = "console",
    responses((status = 200, description = "Each part, whether it works or not.", body = Doctor)),
)]
pub(crate) async fn doctor(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Json<Doctor> {
    let parts = app.control.doctor(&caller).await;
    Json(Doctor { parts: parts.into_iter().map(shown).collect() })
}

fn shown(examined: Examined) -> ApiPart {
    ApiPart {
        part: examined.part.to_string(),
        instance: match examined.part {
            Part::Instance(name) => Some(name.into()),
            Part::Database | Part::SealingKey => None,
        },
        state: examined.state.to_string(),
        reason: examined.reason.map(reason),
    }
}
