//! Puts a turn to the model, and gathers what it answers while it is handed on.

use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::chat::{ANSWER_TOKENS, Chat, Context, Event, Recalled, Turn, context, texts};
use crate::llm_gate::Expected;
use crate::text::token_count;
use memcloud_ports::{Answer, Call, Completion, Deltas, ModelError, Refusal, Tokens};

/// The longest answer that is read, in bytes as they come.
const ANSWER_BYTES: usize = 32 << 20;

/// What the model answered.
#[derive(Default)]
pub(super) struct Reply {
    /// What it said.
    pub(super) text: String,
    /// What it took, if the endpoint says so.
    pub(super) tokens: Option<Tokens>,
    /// About what it took.
    pub(super) estimate: Tokens,
    /// Why there is no more.
    pub(super) error: Option<ModelError>,
}

impl Chat {
    /// Asks the model until it has answered or failed.
    pub(super) async fn converse(
        &self,
        turn: &mut Turn,
        recalled: &mut Recalled,
        events: &UnboundedSender<Event>,
    ) -> Reply {
        let mut reply = Reply::default();
        let answered = tokio::select! {
            answered = self.ask(turn, recalled, &mut reply.estimate) => answered,
            () = self.stop.cancelled() => Err(ModelError::Stopping),
        };
        // It may be large, and the answer may take long.
        turn.request = Map::new();
        match answered {
            Ok(Answer::Whole(completion)) => whole(completion, &mut reply, events),
            Ok(Answer::Stream(deltas)) => self.listen(deltas, &mut reply, events).await,
            Err(error) => reply.error = Some(error),
        }
        reply.estimate.completion = token_count::estimate(&reply.text) as u64;
        reply
    }

    /// The head of the answer. What is too long for the model is asked with less of the memory, then with none.
    async fn ask(
        &self,
        turn: &mut Turn,
        recalled: &mut Recalled,
        estimate: &mut Tokens,
    ) -> Result<Answer, ModelError> {
        let mut budget = self.options.context_tokens;
        loop {
            let request = self.request(turn, &recalled.context, budget);
            let prompt = token_count::of_request(&request);
            estimate.prompt = prompt as u64;
            let permit = match recalled.permit.take() {
                Some(permit) => permit,
                None => self.gate.admit(Expected { prompt, completion: ANSWER_TOKENS }).await?,
            };
            let call = Call { body: request, idempotency_key: None };
            let refusal = match permit.send(&call, turn.retry).await {
                Err(ModelError::Refused(refusal)) => refusal,
                answered => return answered,
            };
            if refusal.is_overflow() && budget > 0 && recalled.context.tokens > 0 {
                budget = if budget == self.options.context_tokens { budget / 4 } else { 0 };
                let (memories, facts) = (&recalled.memories, &recalled.facts);
                recalled.context =
                    Context::within(budget, turn.limit, memories, facts, &texts(&turn.request));
            } else if turn.asks_usage && refuses_usage(&refusal) {
                tracing::info!(told = refusal.told(), "the endpoint does not know 'stream_options'");
                self.refuses_usage.store(true, Ordering::Relaxed);
                turn.asks_usage = false;
            } else {
                return Err(ModelError::Refused(refusal));
            }
        }
    }

    /// The request as the model gets it.
    fn request(&self, turn: &Turn, context: &Context, budget: usize) -> Map<String, Value> {
        let mut request = turn.request.clone();
        if let (Some(text), Some(Value::Array(messages))) =
            (context.text(budget), request.get_mut("messages"))
        {
            context::insert(messages, &text);
        }
        let streams = request.get("stream").is_some_and(|stream| stream == &Value::Bool(true));
        if streams && turn.asks_usage && !self.refuses_usage.load(Ordering::Relaxed) {
            request.insert("stream_options".into(), json!({"include_usage": true}));
        }
        if !request.contains_key("model") {
            request.insert("model".into(), self.gate.name().into());
        }
        request
    }

    async fn listen(&self, mut deltas: Deltas, reply: &mut Reply, events: &UnboundedSender<Event>) {
        let (mut bytes, mut says_something) = (0, false);
        loop {
            let next = tokio::select! {
                next = deltas.next() => next,
                () = self.stop.cancelled() => Some(Err(ModelError::Stopping)),
            };
            match next {
                Some(Ok(delta)) => {
                    bytes += delta.raw.len();
                    reply.text.push_str(&delta.text);
                    reply.tokens = delta.tokens.or(reply.tokens);
                    says_something |= !delta.text.is_empty() || delta.calls_tools;
                    // The client may have gone: the answer is stored all the same.
                    let _ = events.send(Event::Delta(delta));
                }
                Some(Err(error)) => reply.error = Some(error),
                None if !says_something => reply.error = Some(ModelError::Nothing),
                None => return,
            }
            if bytes > ANSWER_BYTES {
                reply.error = Some(ModelError::TooLong { limit: ANSWER_BYTES });
            }
            if reply.error.is_some() {
                return;
            }
        }
    }
}

fn whole(completion: Completion, reply: &mut Reply, events: &UnboundedSender<Event>) {
    reply.text.clone_from(&completion.text);
    reply.tokens = completion.tokens;
    if completion.text.is_empty() && !completion.calls_tools {
        reply.error = Some(ModelError::Nothing);
    }
    let _ = events.send(Event::Whole(completion));
}

fn refuses_usage(refusal: &Refusal) -> bool {
    let told = String::from_utf8_lossy(&refusal.body).to_lowercase();
    matches!(refusal.status, 400 | 422) && (told.contains("stream_options") || told.contains("include_usage"))
}
