//! The models, and the queue of messages that wait to be learned from.

use std::path::Path;
use std::time::Instant;

use memcloud_client::Client;
use memcloud_domain::{Error, with_causes};
use memcloud_instance::{Engines, Llm, RemoteModel};
use memcloud_ports::{Call, ModelAnswer, ModelError};
use serde_json::{Map, Value, json};

use super::Finding;
use crate::hint::hint;
use crate::settings::Notice;

/// How many parked messages are listed.
const LISTED: usize = 20;
const HINT_PARKED: &str = "fix what the reason names, then retry with 'memcloud doctor --retry-parked', or delete the messages with 'memcloud forget ID'";

/// Sends the language model one small request.
pub(super) async fn model(llm: Option<&Llm>, notice: Option<Notice>) -> Finding {
    let part = "llm";
    let llm = match (llm, notice) {
        (Some(llm), _) => llm,
        (None, Some(notice)) => return Finding::warned(part, notice.message, notice.hint),
        (None, None) => {
            let detail = "there is none: the memory works without chats and learned facts";
            return Finding::skipped(part, detail);
        }
    };
    let began = Instant::now();
    let body = Map::from_iter([
        ("model".to_owned(), Value::from(llm.model.as_str())),
        ("messages".to_owned(), json!([{"role": "user", "content": "Answer with the one word: ready"}])),
    ]);
    let hint = "check OPENAI_BASE_URL, OPENAI_API_KEY and MEMCLOUD_CHAT_MODEL";
    match llm.open().send(&Call { body, idempotency_key: None }).await {
        Ok(ModelAnswer::Whole(completion)) if completion.text.trim().is_empty() => {
            Finding::warned(part, format!("{} returned an empty answer", llm.summary()), hint)
        }
        Ok(_) => {
            let seconds = began.elapsed().as_secs_f64();
            Finding::ok(part, format!("{}; it answers in {seconds:.1} s", llm.summary()))
        }
        Err(error @ ModelError::Refused(_)) => Finding::failed(part, error.to_string(), hint),
        Err(error) => {
            Finding::failed(part, format!("{}: {}", llm.endpoint.address(), with_causes(&error)), hint)
        }
    }
}

/// Has one text embedded at the endpoint; also returns the vector space.
pub(super) async fn embedding(settings: &RemoteModel) -> (Finding, Option<String>) {
    let part = "model";
    let embedder = match settings.open().await {
        Ok(embedder) => embedder,
        Err(error) => return (Finding::of(part, Err(error.into())), None),
    };
    let (place, space) = (settings.endpoint.address(), embedder.space().to_owned());
    let finding = match embedder.embed_query("Is anyone there?").await {
        Ok(_) => Finding::ok(part, format!("{space} at {place}")),
        Err(error) => Finding::failed(part, format!("{place}: {}", with_causes(&error)), hint(&error)),
    };
    (finding, Some(space))
}

/// The queue of a running server.
pub(super) async fn queue_of(client: &Client, retry: bool) -> Finding {
    let asking = async {
        let retried = if retry { Some(client.retry_parked(None).await?.retried) } else { None };
        Ok((retried, client.profile_queue(None).await?))
    };
    let (retried, queue) = match asking.await {
        Ok(found) => found,
        Err(error) => return Finding::of_server("profile", Err(error)),
    };
    let stuck = queue.parked_messages.into_iter().map(|message| Stuck {
        id: message.id.to_string(),
        attempts: message.attempts,
        reason: message.reason,
    });
    let stuck: Vec<_> = stuck.collect();
    let (waiting, parked, learning) = (queue.waiting, queue.parked, queue.learning);
    Queue { learning, waiting, since: queue.since, parked, retried }.found(&stuck)
}

/// The queue in the store, which is open to this process only where no server runs; `None` where one does.
pub(super) async fn queue_in(engines: &Engines, dir: &Path, learning: bool, retry: bool) -> Option<Finding> {
    let engine = engines.open_existing(dir).await?;
    let reading = async {
        let queue = &engine.learning;
        let retried = if retry { Some(queue.unpark(None).await?) } else { None };
        let waiting = queue.waiting(None).await?;
        Ok::<_, Error>((retried, waiting, queue.parked(None, LISTED).await?))
    };
    let (retried, waiting, parked) = match reading.await {
        Ok(found) => found,
        Err(error) => return Some(Finding::failed("profile", with_causes(&error), hint(&error))),
    };
    let stuck = parked.into_iter().map(|parked| Stuck {
        id: memcloud_api::PrefixedId(parked.episode).to_string(),
        attempts: parked.attempts,
        reason: parked.reason,
    });
    let since = waiting.since.map(|at| at.to_string());
    let queue = Queue { learning, waiting: waiting.waiting, since, parked: waiting.parked, retried };
    Some(queue.found(&stuck.collect::<Vec<_>>()))
}

/// A parked message.
struct Stuck {
    id: String,
    attempts: u32,
    reason: String,
}

/// The queue, however it was read.
struct Queue {
    learning: bool,
    waiting: u64,
    since: Option<String>,
    parked: u64,
    retried: Option<u64>,
}

impl Queue {
    fn found(self, stuck: &[Stuck]) -> Finding {
        let part = "profile";
        let waiting = format!("{} messages are waiting to be learned from", self.waiting);
        let since = self.since.as_ref().map(|since| format!(", the first since {since}"));
        let retried = self.retried.map(|retried| format!("; {retried} parked messages were queued again"));
        let detail = [Some(waiting), since, retried].into_iter().flatten().collect::<String>();
        if self.parked > 0 {
            let listed: String = stuck.iter().take(LISTED).map(Stuck::line).collect();
            let detail = format!("{detail}; {} are parked:{listed}", self.parked);
            return Finding::warned(part, detail, HINT_PARKED);
        }
        if self.waiting > 0 && !self.learning {
            let hint = "set OPENAI_API_KEY or OPENAI_BASE_URL: without a language model nothing learns";
            return Finding::warned(part, detail, hint);
        }
        Finding::ok(part, detail)
    }
}

impl Stuck {
    fn line(&self) -> String {
        format!("\n{:18}{}: {} attempts, {}", "", self.id, self.attempts, self.reason)
    }
}
