//! `GET /v1/models`, in OpenAI's shape.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use memcloud_http::{Allowed, ApiError, Read};
use memcloud_ports::ModelError;

use super::forwarded;
use crate::App;
use crate::api::chat::error::of_model;

/// Lists the models of the language model's endpoint.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "list_models",
    tag = "chat",
    responses(
        (status = 200, description = "`{\"object\": \"list\", \"data\": [{\"id\": …}]}`.", body = Object),
        (
            status = "default",
            description = "An error in OpenAI's shape: of this server (401 without a key that counts), or of the endpoint, unchanged.",
            content((Object = "application/json"), (String = "*/*")),
        ),
    ),
)]
pub(crate) async fn models(_: Allowed<Read>, State(app): State<App>) -> Result<Response, ApiError> {
    match app.chat()?.gateway().models().await {
        Ok(models) => Ok(Json(models).into_response()),
        Err(ModelError::Refused(refusal)) => Ok(forwarded(refusal)),
        Err(error) => Err(of_model(error)),
    }
}
