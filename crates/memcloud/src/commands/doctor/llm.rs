//! The models, and the queue of messages that wait to be learned from.

use std::path::Path;

use memcloud_api::native::{ParkedMessage, ProfileQueue};
use memcloud_client::Client;
use memcloud_domain::{Error, with_causes};
use memcloud_instance::{Engines, Llm, RemoteModel};
use memcloud_server::profile_queue;

use super::Finding;
use crate::connections::{Answer, ask};
use crate::hint::hint;
use crate::settings::Notice;

const CHECK_MODEL: &str = "check OPENAI_BASE_URL, OPENAI_API_KEY and MEMCLOUD_CHAT_MODEL";
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
    match ask(llm).await {
        Ok(Answer { is_empty: true, .. }) => {
            Finding::warned(part, format!("{} returned an empty answer", llm.summary()), CHECK_MODEL)
        }
        Ok(Answer { seconds, .. }) => {
            Finding::ok(part, format!("{}; it answers in {seconds:.1} s", llm.summary()))
        }
        Err(message) => Finding::failed(part, message, CHECK_MODEL),
    }
}

/// Has one text embedded at the endpoint; also returns the vector space.
pub(super) async fn embedding(settings: &RemoteModel) -> (Finding, Option<String>) {
    let part = "model";
    let embedder = match settings.open().await {
        Ok(embedder) => embedder,
        Err(error) => return (Finding::broken(part, error), None),
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
        Ok((client.profile_queue(None).await?, retried))
    };
    match asking.await {
        Ok((queue, retried)) => found(&queue, retried),
        Err(error) => Finding::refused("profile", error),
    }
}

/// The queue in the store, which is open to this process only where no server runs; `None` where one does.
pub(super) async fn queue_in(engines: &Engines, dir: &Path, learning: bool, retry: bool) -> Option<Finding> {
    let engine = engines.open_existing(dir).await?;
    let reading = async {
        let queue = &engine.learning;
        let retried = if retry { Some(queue.unpark(None).await?) } else { None };
        let (waiting, parked) = (queue.waiting(None).await?, queue.parked(None, LISTED).await?);
        Ok::<_, Error>((profile_queue(learning, waiting, parked), retried))
    };
    Some(match reading.await {
        Ok((queue, retried)) => found(&queue, retried),
        Err(error) => Finding::broken("profile", error),
    })
}

/// What a queue shows, and how many of its messages were queued again just now.
fn found(queue: &ProfileQueue, retried: Option<u64>) -> Finding {
    let part = "profile";
    let waiting = format!("{} messages are waiting to be learned from", queue.waiting);
    let since = queue.since.as_ref().map(|since| format!(", the first since {since}"));
    let retried = retried.map(|retried| format!("; {retried} parked messages were queued again"));
    let detail = [Some(waiting), since, retried].into_iter().flatten().collect::<String>();
    if queue.parked > 0 {
        let detail = format!("{detail}; {} are parked:", queue.parked);
        let listed = queue.parked_messages.iter().take(LISTED).map(line);
        return Finding::warned(part, detail, HINT_PARKED).listing(listed);
    }
    if queue.waiting > 0 && !queue.learning {
        let hint = "set OPENAI_API_KEY or OPENAI_BASE_URL: without a language model nothing learns";
        return Finding::warned(part, detail, hint);
    }
    Finding::ok(part, detail)
}

fn line(ParkedMessage { id, attempts, reason, .. }: &ParkedMessage) -> String {
    format!("{id}: {attempts} attempts, {reason}")
}
