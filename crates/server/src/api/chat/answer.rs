//! What a turn answers, in the plan's shape.

use memcloud_api::PrefixedId;
use memcloud_memory::{CompletedTurn, Context, FactHit, Hit};
use memcloud_ports::Tokens;
use serde::Serialize;
use utoipa::ToSchema;

/// What the model was told of the memory.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatContext)]
pub(super) struct ContextBody {
    /// The memories, in the order of time.
    memories: Vec<MemoryBody>,
    /// The facts about the user, the most useful first.
    profile: Vec<FactBody>,
    /// About how many tokens they take.
    context_tokens: usize,
}

/// A memory that was used.
#[derive(Serialize, ToSchema)]
#[schema(as = UsedMemory)]
struct MemoryBody {
    /// Its UUID.
    uid: String,
    /// How well it fits; comparable within one answer only.
    score: f32,
    /// What was said.
    content: String,
    /// Who said it.
    producer: String,
    /// When: UTC, RFC 3339.
    timestamp: String,
    /// In which conversation.
    session_id: String,
}

/// A fact that was used.
#[derive(Serialize, ToSchema)]
#[schema(as = UsedFact)]
struct FactBody {
    id: i64,
    tag: String,
    feature: String,
    value: String,
    /// How well it fits the question: at most 1.
    score: f32,
}

/// The answer of a turn.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatAnswer)]
pub(super) struct AnswerBody {
    /// What the model said.
    content: String,
    #[serde(flatten)]
    context: ContextBody,
    #[serde(flatten)]
    end: EndBody,
}

/// The end of a turn.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatEnd)]
pub(super) struct EndBody {
    /// `episode-` and the UUID of what the user said, as it was stored.
    user_message: Option<String>,
    /// The same of what the model said.
    assistant_message: Option<String>,
    /// Whether the answer only repeats what was recalled: it then belongs to its conversation, and no search finds it.
    echo: bool,
    /// Whether the model was told less than was recalled, because it was too much for it.
    trimmed: bool,
    usage: UsageBody,
}

/// What a turn took.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatUsage)]
struct UsageBody {
    /// What the model read.
    prompt_tokens: u64,
    /// What it wrote.
    completion_tokens: u64,
    total_tokens: u64,
    /// Whether this is an estimate, since the endpoint did not say.
    estimated: bool,
}

impl From<&Context> for ContextBody {
    fn from(context: &Context) -> Self {
        Self {
            memories: context.memories.iter().map(MemoryBody::from).collect(),
            profile: context.facts.iter().map(FactBody::from).collect(),
            context_tokens: context.tokens,
        }
    }
}

impl From<&Hit> for MemoryBody {
    fn from(Hit { episode, score, .. }: &Hit) -> Self {
        Self {
            uid: episode.id.to_string(),
            score: *score,
            content: episode.content.clone(),
            producer: episode.producer.clone(),
            timestamp: episode.created_at.to_string(),
            session_id: episode.session.clone(),
        }
    }
}

impl From<&FactHit> for FactBody {
    fn from(FactHit { fact, score }: &FactHit) -> Self {
        Self {
            id: fact.id.number(),
            tag: fact.tag.clone(),
            feature: fact.name.clone(),
            value: fact.value.clone(),
            score: *score,
        }
    }
}

impl From<&CompletedTurn> for EndBody {
    fn from(done: &CompletedTurn) -> Self {
        let Tokens { prompt, completion } = done.tokens;
        Self {
            user_message: done.user_message.as_ref().map(|id| PrefixedId(*id).to_string()),
            assistant_message: done.assistant_message.as_ref().map(|id| PrefixedId(*id).to_string()),
            echo: done.is_echo,
            trimmed: done.is_trimmed,
            usage: UsageBody {
                prompt_tokens: prompt,
                completion_tokens: completion,
                total_tokens: prompt.saturating_add(completion),
                estimated: !done.counted,
            },
        }
    }
}

impl From<CompletedTurn> for AnswerBody {
    fn from(done: CompletedTurn) -> Self {
        Self { context: (&done.context).into(), end: (&done).into(), content: done.content }
    }
}
