use deserr::Deserr;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::memmachine_v1::Session;
use crate::{Error, Integer, PrefixedId, Problems};

/// A turn of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct ChatRequest {
    /// The group whose memory is used, and the conversation. Its first user asks, its first agent answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub session: Option<Session>,
    /// The conversation so far, in OpenAI's shape. The last message is the user's, and the only one that is stored.
    #[schema(value_type = Vec<ChatMessage>, min_items = 1, max_items = 2_048)]
    pub messages: Vec<Value>,
    /// The model. Default: the instance's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub model: Option<String>,
    /// Whether the answer is a stream of server-sent events: `memories`, then `delta` for each part of the answer, then
    /// `done` or `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub stream: Option<bool>,
    /// The most memories to recall. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000)]
    pub limit: Option<Integer>,
}

/// A message of a conversation, in OpenAI's shape. Only its schema is used: the model gets the message unchanged.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the items of `messages`")]
struct ChatMessage {
    /// Who says it.
    role: ChatRole,
    /// A text, or a list of parts, each with a `type`.
    content: ChatContent,
}

/// Who says a message of a conversation. Only its schema is used.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes a field")]
enum ChatRole {
    System,
    Developer,
    User,
    Assistant,
}

/// What a message says. Only its schema is used.
#[derive(ToSchema, Serialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes a field")]
enum ChatContent {
    /// A text.
    Text(String),
    /// Parts, such as texts and images.
    Parts(Vec<ChatPart>),
}

/// A part of what a message says. Only its schema is used.
#[derive(ToSchema, Serialize)]
struct ChatPart {
    /// The kind of part, such as `text` or `image_url`.
    r#type: String,
}

/// The part of the memory that the model was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatContext {
    /// The memories, in the order of time.
    pub memories: Vec<UsedMemory>,
    /// The facts about the user, the most useful first.
    pub profile: Vec<UsedFact>,
    /// How many tokens they take, estimated.
    pub context_tokens: usize,
}

/// A memory that was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsedMemory {
    /// Its UUID.
    pub uid: String,
    /// How well it fits; comparable within one answer only.
    pub score: f32,
    /// What was said.
    pub content: String,
    /// Who said it.
    pub producer: String,
    /// When: UTC, RFC 3339.
    pub timestamp: String,
    /// In which conversation.
    pub session_id: String,
}

/// A fact that was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsedFact {
    /// Its number.
    pub id: i64,
    /// The group of facts that it belongs to.
    pub tag: String,
    /// The property of the person.
    pub feature: String,
    /// The value of that property.
    pub value: String,
    /// How well it fits the question: at most 1.
    pub score: f32,
}

/// The answer of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatAnswer {
    /// What the model said.
    pub content: String,
    /// The part of the memory that the model was given.
    #[serde(flatten)]
    pub context: ChatContext,
    /// What was stored, and the usage.
    #[serde(flatten)]
    pub end: ChatEnd,
}

/// An event of a streamed turn: its name and its data.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "lowercase")]
pub enum ChatStreamEvent {
    /// The part of the memory that the model was given. The first event.
    Memories(ChatContext),
    /// A part of the answer.
    Delta(ChatDelta),
    /// Everything is stored. The last event of a turn that succeeds.
    Done(ChatEnd),
    /// The turn failed. The last event.
    Error(Error),
}

/// A part of the answer of a streamed turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatDelta {
    /// What the model said since the last part.
    pub content: String,
}

/// The end of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatEnd {
    /// `episode-` and the UUID of the user's message, as it was stored.
    pub user_message: Option<PrefixedId>,
    /// `episode-` and the UUID of the model's answer, as it was stored.
    pub assistant_message: Option<PrefixedId>,
    /// Whether the answer only repeats what was recalled. It is then stored in its conversation, and no search finds it.
    pub echo: bool,
    /// Whether the model was given less than was recalled, because all of it was too long for the model.
    pub trimmed: bool,
    /// The tokens of the turn.
    pub usage: ChatUsage,
}

/// The tokens of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatUsage {
    /// The tokens that the model read.
    pub prompt_tokens: u64,
    /// The tokens that the model wrote.
    pub completion_tokens: u64,
    /// The sum of both.
    pub total_tokens: u64,
    /// Whether this is an estimate, because the endpoint did not report its usage.
    pub estimated: bool,
}
