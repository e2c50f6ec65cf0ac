//! Chat with memory: our own endpoint (`native`), and what it shares with `OpenAI`'s.

mod answer;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod message;
pub(crate) mod native;

use std::sync::Arc;

use memcloud_api::{Place, Problem, Problems, memmachine_v1};
use memcloud_domain::Member;
use memcloud_http::ApiError;
use memcloud_memory::{Chat, ChatSession, Checked, Limits};
use memcloud_ports::ModelError;

use super::session::NamedSession;
use crate::App;

/// The most messages of one request. `OpenAI` itself does not accept more.
const MAX_MESSAGES: usize = 2_048;
/// The most memories to recall, unless the request says so.
pub(crate) const USUAL_MEMORIES: usize = 20;
/// The agent that answers when the request names none.
const USUAL_AGENT: &str = "assistant";

/// A turn between this user and this agent, or the first ones of the session.
pub(crate) fn chat_session(
    limits: &Limits,
    session: &NamedSession,
    user: Option<String>,
    agent: Option<String>,
    problems: &mut Problems,
) -> Option<Checked<ChatSession>> {
    let user = user
        .or_else(|| session.users.first().cloned())
        .unwrap_or_else(|| session.usual_producer().to_owned());
    let agent = agent.or_else(|| session.agents.first().cloned()).unwrap_or_else(|| USUAL_AGENT.to_owned());
    let chat = ChatSession {
        space: memmachine_v1::space(session.group.as_str()),
        session: session.name.clone(),
        members: session.members().chain([Member::Agent(agent.clone())]).collect(),
        user,
        agent,
    };
    problems.take_all(chat.checked(limits), |violation| session.place(violation.field, limits))
}

/// Refuses an empty conversation, and one with too many messages.
pub(crate) fn check_count(messages: usize) -> Result<(), Problem> {
    let place = Place::body().at("messages");
    match messages {
        0 => Err(Problem::new(place, "too_short", "there are no messages", "no_messages")),
        1..=MAX_MESSAGES => Ok(()),
        given => {
            let msg = format!("there are {given} messages; the limit is {MAX_MESSAGES}");
            Err(Problem::new(place, "too_long", msg, "too_many_messages"))
        }
    }
}

impl App {
    /// The chats of this instance, if it has a language model.
    pub(crate) fn chat(&self) -> Result<&Arc<Chat>, ApiError> {
        self.chat.as_ref().ok_or_else(|| error::of_model(ModelError::Missing))
    }
}
