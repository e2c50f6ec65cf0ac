//! The answer of a turn, in our own shape.

use memcloud_api::native::{ChatAnswer, ChatContext, ChatEnd, ChatUsage, UsedFact, UsedMemory};
use memcloud_memory::{CompletedTurn, Context, FactHit, Hit};
use memcloud_ports::Tokens;

/// The part of the memory that the model was given.
pub(super) fn context(context: &Context) -> ChatContext {
    ChatContext {
        memories: context.memories.iter().map(memory).collect(),
        profile: context.facts.iter().map(fact).collect(),
        context_tokens: context.tokens,
    }
}

fn memory(Hit { episode, score, .. }: &Hit) -> UsedMemory {
    UsedMemory {
        uid: episode.id.to_string(),
        score: *score,
        content: episode.content.clone(),
        producer: episode.producer.clone(),
        timestamp: episode.created_at.to_string(),
        session_id: episode.session.clone(),
    }
}

fn fact(FactHit { fact, score }: &FactHit) -> UsedFact {
    UsedFact {
        id: fact.id.number(),
        tag: fact.tag.clone(),
        feature: fact.name.clone(),
        value: fact.value.clone(),
        score: *score,
    }
}

/// What was stored, and the usage.
pub(super) fn end(done: &CompletedTurn) -> ChatEnd {
    let Tokens { prompt, completion } = done.tokens;
    ChatEnd {
        user_message: done.user_message.map(Into::into),
        assistant_message: done.assistant_message.map(Into::into),
        echo: done.is_echo,
        trimmed: done.is_trimmed,
        usage: ChatUsage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt.saturating_add(completion),
            estimated: !done.counted,
        },
    }
}

/// The whole answer.
pub(super) fn answer(done: CompletedTurn) -> ChatAnswer {
    ChatAnswer { context: context(&done.context), end: end(&done), content: done.content }
}
