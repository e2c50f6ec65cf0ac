//! Asks the model, and collects its answer while passing it on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;

use crate::chat::listener::Listener;
use crate::chat::{ANSWER_TOKENS, Chat, ChatEvent, ChatTurn, Context, Recalled};
use crate::compute::compute;
use crate::llm_gate::{ModelRequest, TokenEstimate};
use crate::text::token_count;
use memcloud_domain::Error;
use memcloud_ports::{Completion, Deltas, ModelAnswer, ModelError, RefusalKind, Tokens};
use memcloud_tasks::{INLINE_SCANNED_BYTES, step_aside};

/// The longest answer that is read, in bytes of the stream.
const ANSWER_BYTES: usize = 32 << 20;

/// The model's answer.
#[derive(Default)]
pub(super) struct Reply {
    /// Its text.
    pub(super) text: String,
    /// The tokens that the endpoint counted, if it did.
    pub(super) tokens: Option<Tokens>,
    /// The estimated tokens.
    pub(super) estimate: Tokens,
    /// Why the answer ends here, if it failed.
    pub(super) error: Option<ModelError>,
}

impl Chat {
    /// Asks the model and passes on its answer.
    pub(super) async fn ask(
        &self,
        turn: &mut ChatTurn,
        recalled: &mut Recalled,
        listener: &mut Listener,
    ) -> Reply {
        let mut reply = Reply::default();
        let answered = tokio::select! {
            answered = self.call(turn, recalled, &mut reply.estimate) => answered,
            () = self.stop.cancelled() => Err(ModelError::Stopping),
        };
        // Frees the request, which may be large, before an answer that may take long.
        turn.request = Arc::default();
        match answered {
            Ok(ModelAnswer::Whole(completion)) => read_whole(completion, &mut reply, listener).await,
            Ok(ModelAnswer::Stream(deltas)) => self.read_stream(deltas, &mut reply, listener).await,
            Err(error) => reply.error = Some(error),
        }
        let text = &reply.text;
        let tokens = step_aside(text.len() > INLINE_SCANNED_BYTES, || token_count::estimate(text));
        reply.estimate.completion = tokens as u64;
        reply
    }

    /// Calls the model. A request that is too long for it is sent again with less context, then with none.
    async fn call(
        &self,
        turn: &mut ChatTurn,
        recalled: &mut Recalled,
        estimate: &mut Tokens,
    ) -> Result<ModelAnswer, ModelError> {
        let mut budget = self.options.context_tokens;
        loop {
            let (request, prompt) = self.request(turn, &recalled.context, budget).await?;
            estimate.prompt = prompt as u64;
            let permit = match recalled.permit.take() {
                Some(permit) => permit,
                None => self.gateway.admit(TokenEstimate { prompt, completion: ANSWER_TOKENS }).await?,
            };
            let call = request.into_call(None);
            let refusal = match permit.send(&call, turn.retry).await {
                Err(ModelError::Refused(refusal)) => refusal,
                answered => return answered,
            };
            let is_overflow = refusal.kind == RefusalKind::ContextOverflow;
            if is_overflow && budget > 0 && recalled.context.tokens > 0 {
                budget = if budget == self.options.context_tokens { budget / 4 } else { 0 };
                recalled.choose(budget, turn).await?;
            } else if turn.asks_usage && refusal.kind == RefusalKind::StreamOptionsUnsupported {
                let reason = refusal.message();
                tracing::info!(reason, "the model endpoint refused stream_options; sending none from now on");
                self.stream_options_refused.store(true, Ordering::Relaxed);
                turn.asks_usage = false;
            } else {
                return Err(ModelError::Refused(refusal));
            }
        }
    }

    /// The request with its context, as it is sent, and the estimated tokens of its prompt.
    async fn request(
        &self,
        turn: &ChatTurn,
        context: &Context,
        budget: usize,
    ) -> Result<(ModelRequest, usize), Error> {
        let bare = Arc::clone(&turn.request);
        let context = step_aside(context.tokens * 4 > INLINE_SCANNED_BYTES, || context.text(budget));
        let asks_usage = turn.asks_usage && !self.stream_options_refused.load(Ordering::Relaxed);
        let model = self.gateway.name().to_owned();
        let built = compute(bare.is_large(), "building a request", move || {
            let mut request = (*bare).clone();
            if let Some(text) = context {
                request.add_context(&text);
            }
            if request.is_streamed() && asks_usage {
                request.ask_usage();
            }
            request.default_model(&model);
            let prompt = request.estimated_tokens();
            (request, prompt)
        });
        built.await
    }

    async fn read_stream(&self, mut deltas: Deltas, reply: &mut Reply, listener: &mut Listener) {
        let (mut bytes, mut is_empty) = (0, true);
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
                    is_empty &= delta.text.is_empty() && !delta.calls_tools;
                    listener.send(ChatEvent::Delta(delta)).await;
                }
                Some(Err(error)) => reply.error = Some(error),
                None if is_empty => reply.error = Some(ModelError::Nothing),
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

async fn read_whole(completion: Completion, reply: &mut Reply, listener: &mut Listener) {
    reply.text.clone_from(&completion.text);
    reply.tokens = completion.tokens;
    if completion.text.is_empty() && !completion.calls_tools {
        reply.error = Some(ModelError::Nothing);
    }
    listener.send(ChatEvent::Whole(completion)).await;
}
