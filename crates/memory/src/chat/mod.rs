//! Chats with a memory: recalls what helps (`context`), asks the language model (`ask`), and stores both sides
//! (`transcript`).
//!
//! Each turn runs in a task of its own, so it finishes even when its client disconnects. The question is stored while the
//! model works, and the answer before the turn ends.

mod ask;
mod context;
mod echo;
mod listener;
mod transcript;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use memcloud_domain::{Clock, EpisodeId, Error, Field, Filter, Member, Space, Violation};
use memcloud_ports::{Completion, Delta, EpisodeStore, FactsOf, ModelError, Tokens};
use memcloud_tasks::{INLINE_BYTES, Tasks, step_aside};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::compute::compute;
use crate::ingest::Ingest;
use crate::limits::{Checked, Limits};
use crate::llm_gate::{ModelGateway, ModelRequest, Permit, Retry, TokenEstimate};
use crate::memory::Memory;
use crate::search::{FactHit, Hit, Search, SearchQuery};
use crate::text::blank::is_blank;

pub use context::Context;
#[cfg(test)]
pub(crate) use echo::is_echo;
#[cfg(test)]
pub(crate) use transcript::storable;

use listener::Listener;

/// How much a chat recalls.
#[derive(Clone, Copy, Debug)]
pub struct ChatOptions {
    /// The most tokens of memories and facts in one request to the model. Default 2,000.
    pub context_tokens: usize,
}

impl Default for ChatOptions {
    fn default() -> Self {
        Self { context_tokens: 2_000 }
    }
}

/// The estimated length of an answer whose request does not limit it, in tokens.
const ANSWER_TOKENS: usize = 500;

/// How many more hits to fetch than fit in the context, to make up for those that the model is given anyway.
const SPARE_HITS: usize = 10;

/// Chats over one memory with one language model.
pub struct Chat {
    episodes: Arc<dyn EpisodeStore>,
    ingest: Ingest,
    search: Search,
    clock: Arc<dyn Clock>,
    limits: Limits,
    gateway: Arc<ModelGateway>,
    options: ChatOptions,
    turns: Tasks,
    stop: CancellationToken,
    /// Set once the endpoint has refused `stream_options`, which are not sent again.
    stream_options_refused: AtomicBool,
}

/// Where a chat takes place, and between whom.
#[derive(Clone, Debug)]
pub struct ChatSession {
    /// The space that is searched and stored to.
    pub space: Space,
    /// The session that both sides are stored in.
    pub session: String,
    /// The session's members, with the agent.
    pub members: Vec<Member>,
    /// The user who asks.
    pub user: String,
    /// The agent that answers.
    pub agent: String,
}

impl ChatSession {
    /// This session when its names break no rule, else every rule that they break.
    pub fn checked(self, limits: &Limits) -> Result<Checked<Self>, Vec<Violation>> {
        Checked::by(self, |Self { space, session, members, .. }| {
            let names = [(Field::Space, &space.project), (Field::Session, session)];
            let names = names.into_iter().map(|(field, name)| limits.check_name(field, name));
            Violation::all(names.chain(members.iter().map(|member| limits.check_member(member))))
        })
    }
}

/// One turn of a chat: a question and its answer.
#[derive(Clone, Debug)]
pub struct ChatTurn {
    /// Where the chat takes place, and between whom.
    pub session: Checked<ChatSession>,
    /// What the user wrote last, as it is stored; empty when there is nothing to store.
    pub question: String,
    /// Whether `question` has not been stored yet. False when the request continues a tool call.
    pub is_new: bool,
    /// The request for the model, without the context.
    pub request: Arc<ModelRequest>,
    /// The most memories to recall.
    pub limit: usize,
    /// How failed calls are retried.
    pub retry: Retry,
    /// Whether to ask the endpoint for the token usage of a stream. Not every endpoint supports that.
    pub asks_usage: bool,
}

/// What was recalled for a turn, with the permit for the first call.
struct Recalled {
    memories: Arc<[Hit]>,
    facts: Arc<[FactHit]>,
    permit: Option<Permit>,
    context: Context,
}

impl Recalled {
    /// Chooses what the model is given, within a budget of tokens.
    async fn choose(&mut self, budget: usize, turn: &ChatTurn) -> Result<(), Error> {
        let (memories, facts) = (Arc::clone(&self.memories), Arc::clone(&self.facts));
        let (request, limit) = (Arc::clone(&turn.request), turn.limit);
        let bytes: usize = memories.iter().map(|hit| hit.episode.content.len()).sum();
        let is_large = bytes > INLINE_BYTES || request.is_large();
        self.context = compute(is_large, "choosing a context", move || {
            Context::within(budget, limit, &memories, &facts, &request.texts())
        })
        .await?;
        Ok(())
    }
}

/// What happens in a turn, in order.
#[derive(Debug)]
pub enum ChatEvent {
    /// The context was recalled, in this time, and the model is asked. Always the first event, unless recalling failed.
    Recalled(Box<Context>, Duration),
    /// The model streamed a part of its answer.
    Delta(Delta),
    /// The model sent its whole answer.
    Whole(Completion),
    /// The answer is complete and everything is stored. The last event.
    Done(Box<CompletedTurn>),
    /// The turn failed. The last event.
    Failed(Box<FailedTurn>),
}

/// A turn that succeeded.
#[derive(Clone, Debug)]
pub struct CompletedTurn {
    /// The id of the stored question; `None` when it was empty or stored before.
    pub user_message: Option<EpisodeId>,
    /// The id of the stored answer; `None` when it was empty.
    pub assistant_message: Option<EpisodeId>,
    /// Whether the answer only repeats what was recalled. It is then stored in its session, but no search finds it.
    pub is_echo: bool,
    /// The answer.
    pub content: String,
    /// The tokens of the call.
    pub tokens: Tokens,
    /// Whether the endpoint counted the tokens; otherwise they are an estimate.
    pub counted: bool,
    /// The context that the model was given.
    pub context: Context,
    /// Whether that is less than was recalled, because the model could not read more.
    pub is_trimmed: bool,
}

/// A turn that failed.
#[derive(Debug)]
pub struct FailedTurn {
    /// Why it failed.
    pub error: ModelError,
    /// The id of the stored question; `None` when it was empty, stored before, or could not be stored.
    pub user_message: Option<EpisodeId>,
    /// The id of the stored beginning of the answer, if there is one.
    pub assistant_message: Option<EpisodeId>,
    /// The beginning of the answer.
    pub content: String,
}

impl Chat {
    /// Chats over this memory.
    pub fn new(memory: &Memory, gateway: Arc<ModelGateway>, options: ChatOptions) -> Self {
        Self {
            episodes: Arc::clone(&memory.engine.episodes),
            ingest: memory.ingest.clone(),
            search: memory.search.clone(),
            clock: Arc::clone(&memory.clock),
            limits: memory.limits,
            gateway,
            options,
            turns: Tasks::new(),
            stop: CancellationToken::new(),
            stream_options_refused: AtomicBool::new(false),
        }
    }

    /// The gateway to the language model.
    pub fn gateway(&self) -> &ModelGateway {
        &self.gateway
    }

    /// Waits until no turn is running. Call it when no more turns begin.
    pub async fn finished(&self) {
        self.turns.finished().await;
    }

    /// Ends all turns and waits for them: what has been answered so far is stored, and calls of the model fail.
    pub async fn close(&self) {
        self.stop.cancel();
        self.finished().await;
    }

    /// Begins a turn: recalls what helps, asks the model, and stores both sides. The turn runs to its end even when the
    /// receiver of its events is dropped, or takes none for ten seconds; then the events end without a last one.
    pub fn begin(self: &Arc<Self>, turn: ChatTurn) -> mpsc::Receiver<ChatEvent> {
        let (mut listener, receiver) = Listener::new(self.stop.clone());
        let chat = Arc::clone(self);
        self.turns.spawn("chat turn", |_| async move {
            let last = chat.run(turn, &mut listener).await;
            listener.send(last).await;
        });
        receiver
    }

    async fn run(&self, mut turn: ChatTurn, listener: &mut Listener) -> ChatEvent {
        let (began, asked_at) = (Instant::now(), self.clock.now());
        let mut recalled = match self.recall(&turn).await {
            Ok(recalled) => recalled,
            Err(error) => return self.fail_before_asking(&turn, error).await,
        };
        listener.send(ChatEvent::Recalled(Box::new(recalled.context.clone()), began.elapsed())).await;
        let recalled_tokens = recalled.context.tokens;
        let session = turn.session.clone();
        let question = if turn.is_new { std::mem::take(&mut turn.question) } else { String::new() };
        let answering = async {
            let reply = self.ask(&mut turn, &mut recalled, listener).await;
            let is_echo = reply.error.is_none() && {
                let memories = || recalled.context.quoted_memories(self.options.context_tokens);
                let bytes = reply.text.len() + memories().map(str::len).sum::<usize>();
                step_aside(bytes > INLINE_BYTES, || echo::is_echo(&reply.text, memories()))
            };
            let answer = self.store_answer(&session, &reply, is_echo).await;
            (reply, is_echo, answer)
        };
        let storing = self.store_question(&session, &question, asked_at);
        let (stored_question, (reply, is_echo, stored_answer)) = tokio::join!(storing, answering);
        let context = recalled.context;
        let (user_message, question_error) = split(stored_question);
        let (assistant_message, answer_error) = split(stored_answer);
        if let Some(error) = reply.error.or(question_error).or(answer_error) {
            let content = reply.text;
            return ChatEvent::Failed(Box::new(FailedTurn {
                error,
                user_message,
                assistant_message,
                content,
            }));
        }
        ChatEvent::Done(Box::new(CompletedTurn {
            user_message,
            assistant_message,
            is_echo,
            tokens: reply.tokens.unwrap_or(reply.estimate),
            counted: reply.tokens.is_some(),
            content: reply.text,
            is_trimmed: context.tokens < recalled_tokens,
            context,
        }))
    }

    /// Ends a turn that failed before the model was asked. The question is still stored, unless the memory itself failed.
    async fn fail_before_asking(&self, turn: &ChatTurn, error: ModelError) -> ChatEvent {
        let user_message = if turn.is_new && !matches!(error, ModelError::Memory(_)) {
            let stored = self.store_question(&turn.session, &turn.question, self.clock.now()).await;
            stored.ok().flatten()
        } else {
            None
        };
        let content = String::new();
        ChatEvent::Failed(Box::new(FailedTurn { error, user_message, assistant_message: None, content }))
    }

    /// Recalls what helps with a turn, and gets a permit to ask the model.
    async fn recall(&self, turn: &ChatTurn) -> Result<Recalled, ModelError> {
        let (budget, request) = (self.options.context_tokens, Arc::clone(&turn.request));
        let estimate = compute(request.is_large(), "reading a request", move || TokenEstimate {
            prompt: request.estimated_tokens().saturating_add(budget),
            completion: request.completion_tokens(ANSWER_TOKENS),
        });
        let estimate = estimate.await?;
        // Waits for both even when one fails: an unused permit gives its reservation back only after it exists.
        let (permit, found) = tokio::join!(self.gateway.admit(estimate), self.look_up(turn));
        let ((memories, facts), permit) = (found?, permit?);
        let context = Context::default();
        let mut recalled =
            Recalled { memories: memories.into(), facts: facts.into(), permit: Some(permit), context };
        recalled.choose(budget, turn).await?;
        Ok(recalled)
    }

    /// The memories and facts that are most similar to the question.
    async fn look_up(&self, turn: &ChatTurn) -> Result<(Vec<Hit>, Vec<FactHit>), Error> {
        if is_blank(&turn.question) {
            return Ok((vec![], vec![]));
        }
        let ChatSession { space, user, .. } = &*turn.session;
        let text = &turn.question[..turn.question.floor_char_boundary(self.limits.content_bytes)];
        let query = SearchQuery {
            space: space.clone(),
            text: text.to_owned(),
            filter: Filter::default(),
            limit: turn.limit.saturating_add(SPARE_HITS).clamp(1, self.limits.results) as i64,
        };
        let of = FactsOf::owners(space, [user]);
        let (found, facts) = self.search.both(&query.checked(&self.limits)?, &of, usize::MAX).await?;
        Ok((found.hits, facts))
    }
}

fn split(stored: Result<Option<EpisodeId>, Error>) -> (Option<EpisodeId>, Option<ModelError>) {
    match stored {
        Ok(id) => (id, None),
        Err(error) => (None, Some(error.into())),
    }
}
