//! A conversation that remembers: recalls what helps (`context`), asks the model, and stores both sides.
//!
//! Each turn runs in a task of its own, so that it comes to its end whether or not the client is still there. What the
//! user said is stored while the model works; what the model answered is stored before the turn is done.

mod context;
mod converse;
mod echo;
mod keep;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use memcloud_domain::{EpisodeId, Error, Filter, Member, Space};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Memory;
use crate::llm_gate::{Expected, ModelGateway, Permit, Retry};
use crate::profile::FactHit;
use crate::search::{Embedded, Hit, SearchQuery};
use crate::text::token_count;
use memcloud_ports::{Completion, Delta, FactsOf, ModelError, Tokens};

pub use context::Context;

/// What a chat does with what it recalls.
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

/// What an answer is taken to have at most, in tokens, where nobody says.
const ANSWER_TOKENS: usize = 500;

/// How many memories more are looked up than are told.
const SPARE: usize = 10;

/// Conversations over one memory with one model.
pub struct Chat {
    memory: Arc<Memory>,
    gate: Arc<ModelGateway>,
    options: ChatOptions,
    turns: TaskTracker,
    stop: CancellationToken,
    /// The endpoint has refused to say what a stream takes, and is not asked again.
    refuses_usage: AtomicBool,
}

/// Who talks, and where.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Whose memory it is.
    pub space: Space,
    /// The conversation.
    pub session: String,
    /// Who takes part, the agent included.
    pub members: Vec<Member>,
    /// Who asks.
    pub user: String,
    /// Who answers.
    pub agent: String,
}

/// One turn of a conversation.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Who talks, and where.
    pub conversation: Conversation,
    /// What the user said last, as the memory keeps it; empty when it was nothing that can be kept.
    pub question: String,
    /// Whether that is new. It is not when the conversation went on since, with calls of tools.
    pub is_new: bool,
    /// The request for the model, in OpenAI's shape, with its `messages` and `model`.
    pub request: Map<String, Value>,
    /// The most memories to recall.
    pub limit: usize,
    /// How often a failed call is made again.
    pub retry: Retry,
    /// Whether the model is asked what a stream took, in a way that not every endpoint knows.
    pub asks_usage: bool,
}

/// What was recalled for a turn, with leave to put it to the model.
struct Recalled {
    memories: Vec<Hit>,
    facts: Vec<FactHit>,
    /// The question's own embedding.
    embedded: Option<Embedded>,
    permit: Option<Permit>,
    context: Context,
}

/// What happens in a turn, as it happens.
#[derive(Debug)]
pub enum Event {
    /// What helps has been recalled, in so much time, and the model is asked. The first event, unless it failed before.
    Recalled(Box<Context>, Duration),
    /// The model said something.
    Delta(Delta),
    /// The model said all of it at once.
    Whole(Completion),
    /// Everything is stored. The last event.
    Done(Box<Done>),
    /// It failed. The last event.
    Failed(Box<Failed>),
}

/// A turn that is done.
#[derive(Clone, Debug)]
pub struct Done {
    /// What the user said, as it was stored; `None` when it was not new or nothing.
    pub user_message: Option<EpisodeId>,
    /// What the model said, as it was stored; `None` when that was nothing.
    pub assistant_message: Option<EpisodeId>,
    /// Whether the answer only repeats what was recalled: it is then kept for its conversation, and no search finds it.
    pub is_echo: bool,
    /// What the model said.
    pub content: String,
    /// What it took.
    pub tokens: Tokens,
    /// Whether the endpoint said what it took; otherwise it is an estimate.
    pub counted: bool,
    /// What the model was told in the end.
    pub context: Context,
    /// Whether that is less than was recalled, because it was too much for the model.
    pub is_trimmed: bool,
}

/// A turn that failed.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: ModelError,
    /// What the user said, as it was stored; `None` when it was not new or could not be stored.
    pub user_message: Option<EpisodeId>,
    /// What came of the answer before, as it was stored.
    pub assistant_message: Option<EpisodeId>,
    /// What came of the answer before.
    pub content: String,
}

impl Chat {
    /// Conversations over this memory.
    pub fn new(memory: Arc<Memory>, gate: Arc<ModelGateway>, options: ChatOptions) -> Self {
        Self {
            memory,
            gate,
            options,
            turns: TaskTracker::new(),
            stop: CancellationToken::new(),
            refuses_usage: AtomicBool::new(false),
        }
    }

    /// The gate to its model.
    pub fn gate(&self) -> &ModelGateway {
        &self.gate
    }

    /// Ready when no turn is under way any more. From now on that may be at once.
    pub async fn finished(&self) {
        self.turns.close();
        self.turns.wait().await;
    }

    /// Ends all turns: what has been answered up to now is stored, and what waits for the model fails. Ready when all are
    /// at their end.
    pub async fn close(&self) {
        self.stop.cancel();
        self.finished().await;
    }

    /// Begins a turn: recalls what helps, puts it to the model, and stores both sides. Its events come until the last
    /// one; whoever stops listening stops nothing else.
    pub fn begin(self: &Arc<Self>, turn: Turn) -> mpsc::UnboundedReceiver<Event> {
        let (events, listener) = mpsc::unbounded_channel();
        let chat = Arc::clone(self);
        self.turns.spawn(async move {
            let last = chat.run(turn, &events).await;
            // The client may have gone.
            let _ = events.send(last);
        });
        listener
    }

    async fn run(&self, mut turn: Turn, events: &mpsc::UnboundedSender<Event>) -> Event {
        let (began, asked_at) = (Instant::now(), self.memory.clock.now());
        let mut recalled = match self.recall(&turn).await {
            Ok(recalled) => recalled,
            Err(error) => return self.not_asked(&turn, error).await,
        };
        let _ = events.send(Event::Recalled(Box::new(recalled.context.clone()), began.elapsed()));
        let told = recalled.context.tokens;
        let (talk, embedded) = (turn.conversation.clone(), recalled.embedded.take());
        let question = if turn.is_new { std::mem::take(&mut turn.question) } else { String::new() };
        let answering = async {
            let reply = self.converse(&mut turn, &mut recalled, events).await;
            let memories = recalled.context.told(self.options.context_tokens);
            let is_echo = reply.error.is_none() && echo::is_echo(&reply.text, memories);
            let answer = self.keep_answer(&talk, &reply, is_echo).await;
            (reply, is_echo, answer)
        };
        let keeping = self.keep_question(&talk, &question, asked_at, embedded.as_ref());
        let (kept, (reply, is_echo, answer)) = tokio::join!(keeping, answering);
        let context = recalled.context;
        let (user_message, kept) = split(kept);
        let (assistant_message, answer) = split(answer);
        if let Some(error) = reply.error.or(kept).or(answer) {
            let content = reply.text;
            return Event::Failed(Box::new(Failed { error, user_message, assistant_message, content }));
        }
        Event::Done(Box::new(Done {
            user_message,
            assistant_message,
            is_echo,
            tokens: reply.tokens.unwrap_or(reply.estimate),
            counted: reply.tokens.is_some(),
            content: reply.text,
            is_trimmed: context.tokens < told,
            context,
        }))
    }

    /// The end of a turn that could not be put to the model. What the user said is stored all the same, where the memory
    /// itself works.
    async fn not_asked(&self, turn: &Turn, error: ModelError) -> Event {
        let stored = match error {
            ModelError::Memory(_) => Ok(None),
            _ if turn.is_new => {
                let now = self.memory.clock.now();
                self.keep_question(&turn.conversation, &turn.question, now, None).await
            }
            _ => Ok(None),
        };
        let user_message = stored.ok().flatten();
        Event::Failed(Box::new(Failed {
            error,
            user_message,
            assistant_message: None,
            content: String::new(),
        }))
    }

    /// Recalls what helps with a turn, and gets leave to put it to the model.
    async fn recall(&self, turn: &Turn) -> Result<Recalled, ModelError> {
        self.check(&turn.conversation)?;
        let number = |field: &str| turn.request.get(field).and_then(Value::as_u64);
        let completion = number("max_completion_tokens").or(number("max_tokens"));
        let completion = completion.map_or(ANSWER_TOKENS, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let expected = Expected {
            prompt: token_count::of_request(&turn.request).saturating_add(self.options.context_tokens),
            completion: completion.saturating_mul(number("n").unwrap_or(1).max(1) as usize),
        };
        // Both to their end: leave that is not used is given back only when it is there.
        let (permit, found) = tokio::join!(self.gate.admit(expected), self.look_up(turn));
        let ((memories, facts, embedded), permit) = (found?, permit?);
        let said = texts(&turn.request);
        let context = Context::within(self.options.context_tokens, turn.limit, &memories, &facts, &said);
        Ok(Recalled { memories, facts, embedded, permit: Some(permit), context })
    }

    /// Refuses names that could not be stored, before anything has been paid for.
    fn check(&self, conversation: &Conversation) -> Result<(), Error> {
        let Conversation { space, session, members, .. } = conversation;
        self.memory.check_name("group_id", &space.project)?;
        self.memory.check_name("session_id", session)?;
        members.iter().try_for_each(|member| self.memory.check_name("user_id or agent_id", member.name()))
    }

    /// The memories and the facts that are most like what the user said.
    async fn look_up(&self, turn: &Turn) -> Result<(Vec<Hit>, Vec<FactHit>, Option<Embedded>), Error> {
        if turn.question.trim().is_empty() {
            return Ok((vec![], vec![], None));
        }
        let Conversation { space, user, .. } = &turn.conversation;
        let limits = self.memory.limits();
        let text = &turn.question[..turn.question.floor_char_boundary(limits.content_bytes)];
        let question = SearchQuery {
            space: space.clone(),
            text: text.to_owned(),
            filter: Filter::default(),
            // Some of them may be what the model is given anyway.
            limit: turn.limit.saturating_add(SPARE).clamp(1, limits.results),
        };
        let of =
            FactsOf { space: space.clone(), owners: Some(vec![user.clone()]), category: None, as_of: None };
        let (found, facts, embedded) = self.memory.search_both_with_vector(question, &of, usize::MAX).await?;
        Ok((found.hits, facts, embedded))
    }
}

fn split(kept: Result<Option<EpisodeId>, Error>) -> (Option<EpisodeId>, Option<ModelError>) {
    match kept {
        Ok(id) => (id, None),
        Err(error) => (None, Some(error.into())),
    }
}

/// What the model is given to read anyway.
fn texts(request: &Map<String, Value>) -> HashSet<&str> {
    let messages = request.get("messages").and_then(Value::as_array);
    let contents = messages.into_iter().flatten().map(|message| &message["content"]);
    let texts = contents.flat_map(|content| match content {
        Value::String(text) => vec![text.trim()],
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).map(str::trim).collect(),
        _ => vec![],
    });
    texts.filter(|text| !text.is_empty()).collect()
}
