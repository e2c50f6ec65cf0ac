//! `GET /v1/models`

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::NAME;
use crate::refusal::ErrorAnswer;
use crate::state::{Dialect, State};

pub(crate) async fn models(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
) -> Result<Json<Value>, ErrorAnswer> {
    state.authorize(&headers, Dialect::OpenAi)?;
    let model = json!({"id": NAME, "object": "model", "created": 0, "owned_by": "memcloud"});
    Ok(Json(json!({"object": "list", "data": [model]})))
}
