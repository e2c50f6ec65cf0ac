//! Chat with memory: the plan's own endpoint (`talk`), and OpenAI's (`completions`, `models`), so that any client of that
//! API gains a memory by changing its base URL.

mod answer;
mod completions;
mod events;
mod message;
mod models;
mod native;
mod refusal;
mod usage;

use std::sync::Arc;

use memcloud_domain::{Caller, ForeignSpace, Member};
use memcloud_memory::{Chat, ChatSession};
use memcloud_ports::ModelError;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::allowed::guarded;
use crate::api::v1::NamedSession;
use crate::failure::Failure;
use crate::fields::Place;

/// The most messages of one request. `OpenAI` itself takes no more than this.
const MOST_MESSAGES: usize = 2_048;
/// How many memories are recalled at most, unless the request says so.
const USUAL_MEMORIES: usize = 20;
/// Who answers when the request names no agent.
const USUAL_AGENT: &str = "assistant";

/// All its routes. Each needs a key, where the instance has one.
pub(crate) fn routes() -> OpenApiRouter<App> {
    guarded![native::talk, completions::completions, models::models, usage::usage]
}

/// Who talks in a turn: this user and this agent, or those that the session names first.
fn conversation(
    caller: &Caller,
    session: &NamedSession,
    user: Option<String>,
    agent: Option<String>,
) -> Result<ChatSession, ForeignSpace> {
    let user = user.or_else(|| session.users.first().cloned()).unwrap_or_else(|| session.usual_producer());
    let agent = agent.or_else(|| session.agents.first().cloned()).unwrap_or_else(|| USUAL_AGENT.to_owned());
    Ok(ChatSession {
        space: session.space(caller)?,
        session: session.name.clone(),
        members: session.members().chain([Member::Agent(agent.clone())]).collect(),
        user,
        agent,
    })
}

/// Refuses a conversation without an end, and one without a beginning.
fn check_count(messages: &[Value], place: &Place) -> Result<(), Failure> {
    if messages.is_empty() {
        let hint = "send at least what the user says now";
        return Err(place.clone().wrong(
            "too_short",
            "there are no messages",
            &Value::Null,
            "no_messages",
            hint,
        ));
    }
    if messages.len() > MOST_MESSAGES {
        let msg = format!("there are {} messages; the limit is {MOST_MESSAGES}", messages.len());
        let hint = "send the last ones: what was said before is remembered";
        return Err(place.clone().wrong("too_long", msg, &Value::Null, "too_many_messages", hint));
    }
    Ok(())
}

impl App {
    /// The conversations of this instance, if it has a language model.
    fn chat(&self) -> Result<&Arc<Chat>, ModelError> {
        self.chat.as_ref().ok_or(ModelError::Missing)
    }
}
