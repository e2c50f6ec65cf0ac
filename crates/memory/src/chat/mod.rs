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

use memcloud_model::{EpisodeId, Error, Filter, Member, Space};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::language::{Gate, Permit, Retry};
use crate::ports::{Completion, Delta, FactsOf, ModelError, Tokens};
use crate::profile::FactHit;
use crate::search::{Hit, Question};
use crate::{Memory, tokens};

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
    gate: Arc<Gate>,
    options: ChatOptions,
    turns: TaskTracker,
    stop: CancellationToken,
    /// The endpoint has refused to say what a stream takes, and is not asked again.
    refuses_usage: AtomicBool,
}

/// One turn of a conversation.
#[derive(Clone, Debug)]
pub struct Turn {
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

/// A turn for which everything has been recalled, and which may be put to the model.
pub struct Recalled {
    turn: Turn,
    memories: Vec<Hit>,
    facts: Vec<FactHit>,
    permit: Option<Permit>,
    /// What the model is told of it.
    pub context: Context,
    /// How long recalling took.
    pub took: Duration,
}

/// What happens in a turn, as it happens.
#[derive(Debug)]
pub enum Event {
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
    /// What the model was told in the end: less than was recalled where that was too much for it.
    pub context: Context,
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
}

impl Chat {
    /// Conversations over this memory.
    pub fn new(memory: Arc<Memory>, gate: Arc<Gate>, options: ChatOptions) -> Self {
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
    pub fn gate(&self) -> &Gate {
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
        self.turns.close();
        self.turns.wait().await;
    }

    /// Recalls what helps with a turn, and gets leave to put it to the model. Without leave the user's message is stored
    /// all the same, and the failure says so.
    pub async fn recall(&self, turn: Turn) -> Result<Recalled, Box<Failed>> {
        let began = Instant::now();
        let messages = turn.request.get("messages").and_then(Value::as_array);
        let asked = messages.map_or(0, |messages| tokens::of_messages(messages));
        let expected = ["max_completion_tokens", "max_tokens"]
            .iter()
            .find_map(|field| usize::try_from(turn.request.get(*field)?.as_u64()?).ok());
        let expected = asked + self.options.context_tokens + expected.unwrap_or(ANSWER_TOKENS);
        let recalled = async { self.look_up(&turn).await.map_err(ModelError::from) };
        match tokio::try_join!(self.gate.admit(expected), recalled) {
            Ok((permit, (memories, facts))) => {
                let said = texts(messages.map_or(&[][..], Vec::as_slice));
                let context =
                    Context::within(self.options.context_tokens, turn.limit, &memories, &facts, &said);
                Ok(Recalled { context, turn, memories, facts, permit: Some(permit), took: began.elapsed() })
            }
            Err(error) => {
                let user_message = match error {
                    ModelError::Memory(_) => None,
                    _ => self.keep_question(&turn).await.ok().flatten(),
                };
                Err(Box::new(Failed { error, user_message, assistant_message: None }))
            }
        }
    }

    /// The memories and the facts that are most like what the user said.
    async fn look_up(&self, turn: &Turn) -> Result<(Vec<Hit>, Vec<FactHit>), Error> {
        if turn.question.trim().is_empty() {
            return Ok((vec![], vec![]));
        }
        let limits = self.memory.limits();
        let text = &turn.question[..turn.question.floor_char_boundary(limits.content_bytes)];
        let question = Question {
            space: turn.space.clone(),
            text: text.to_owned(),
            filter: Filter::default(),
            // Some of them may be what the model is given anyway.
            limit: (turn.limit + SPARE).clamp(1, limits.results),
        };
        let of = FactsOf {
            space: turn.space.clone(),
            owners: Some(vec![turn.user.clone()]),
            category: None,
            as_of: None,
        };
        let (found, facts) = self.memory.search_both(question, &of, usize::MAX).await?;
        Ok((found.hits, facts))
    }

    /// Puts a turn to the model. Its events come until the last one; whoever stops listening stops nothing else.
    pub fn begin(self: &Arc<Self>, recalled: Recalled) -> mpsc::UnboundedReceiver<Event> {
        let (events, listener) = mpsc::unbounded_channel();
        let chat = Arc::clone(self);
        self.turns.spawn(async move {
            let last = chat.run(recalled, &events).await;
            // The client may have gone.
            let _ = events.send(last);
        });
        listener
    }

    async fn run(&self, mut recalled: Recalled, events: &mpsc::UnboundedSender<Event>) -> Event {
        let question = recalled.turn.clone();
        let (kept, reply) = tokio::join!(self.keep_question(&question), self.converse(&mut recalled, events));
        let memories = recalled.memories.iter().map(|hit| hit.episode.content.as_str());
        let is_echo = reply.error.is_none() && echo::is_echo(&reply.text, memories);
        let answer = self.keep_answer(&recalled.turn, &reply, is_echo).await;
        let (user_message, kept) = split(kept);
        let (assistant_message, answer) = split(answer);
        if let Some(error) = reply.error.or(kept).or(answer) {
            return Event::Failed(Box::new(Failed { error, user_message, assistant_message }));
        }
        Event::Done(Box::new(Done {
            user_message,
            assistant_message,
            is_echo,
            tokens: reply.tokens.unwrap_or(reply.estimate),
            counted: reply.tokens.is_some(),
            content: reply.text,
            context: recalled.context,
        }))
    }
}

fn split(kept: Result<Option<EpisodeId>, Error>) -> (Option<EpisodeId>, Option<ModelError>) {
    match kept {
        Ok(id) => (id, None),
        Err(error) => (None, Some(error.into())),
    }
}

/// What the model is given to read anyway.
fn texts(messages: &[Value]) -> HashSet<&str> {
    let contents = messages.iter().map(|message| &message["content"]);
    contents
        .flat_map(|content| match content {
            Value::String(text) => vec![text.trim()],
            Value::Array(parts) => {
                parts.iter().filter_map(|part| part["text"].as_str()).map(str::trim).collect()
            }
            _ => vec![],
        })
        .filter(|text| !text.is_empty())
        .collect()
}
