//! Chat with memory: the plan's own endpoint (`talk`), and OpenAI's (`completions`, `models`), so that any client of that
//! API gains a memory by changing its base URL.

mod answer;
mod completions;
mod events;
mod message;
mod models;
mod refusal;
mod talk;
mod usage;

use std::sync::Arc;

use memcloud_memory::Chat;
use memcloud_memory::ports::ModelError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;

/// The most messages of one request. `OpenAI` itself takes no more than this.
const MOST_MESSAGES: usize = 2_048;
/// How many memories are recalled at most, unless the request says so.
const USUAL_MEMORIES: usize = 20;
/// Who answers when the request names no agent.
const USUAL_AGENT: &str = "assistant";

/// All its routes. Each needs a key, where the instance has one.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(talk::talk))
        .routes(routes!(completions::completions))
        .routes(routes!(models::models))
        .routes(routes!(usage::usage))
}

impl App {
    /// The conversations of this instance, if it has a language model.
    fn chat(&self) -> Result<&Arc<Chat>, ModelError> {
        self.chat.as_ref().ok_or(ModelError::Missing)
    }
}
