use std::time::Duration;

use memcloud_api::PrefixedId;
use memcloud_api::memmachine_v1::NewEpisode;
use memcloud_client::Client;
use tokio::time::Instant;

use crate::verify::run::Run;
use crate::verify::trail::{Finding, Request, Trail};
use crate::verify::{Criterion, Evidence};

/// How long a store may take: the plan's criterion.
const LIMIT: Duration = Duration::from_secs(2);

/// What was answered as stored.
pub(in crate::verify) struct Stored {
    /// Each message with its id.
    messages: Vec<(PrefixedId, String)>,
}

impl Stored {
    /// Each message with its id.
    pub(in crate::verify) fn messages(&self) -> &[(PrefixedId, String)] {
        &self.messages
    }

    /// The id of the message that says this.
    pub(in crate::verify) fn id(&self, said: &str) -> Option<PrefixedId> {
        self.messages.iter().find(|(_, text)| text == said).map(|(id, _)| *id)
    }
}

/// Stores a message, then others together; each request must be answered within two seconds. What was stored too slowly is
/// returned as well, so that the other criteria can be checked.
pub(in crate::verify) async fn check(run: &Run<'_>, client: &Client) -> (Option<Stored>, Evidence) {
    let trail = Trail::of(run);
    let (stored, found) = match store(&trail, client).await {
        Ok((stored, slowest)) if slowest >= LIMIT => {
            let message =
                format!("a store took {:.1} s; the limit is {} s", slowest.as_secs_f64(), LIMIT.as_secs());
            let hint = "check that the machine, its disk and its databases are not overloaded";
            (Some(stored), Err(Finding::failed(message, hint)))
        }
        Ok((stored, _)) => (Some(stored), Ok(())),
        Err(finding) => (None, Err(finding)),
    };
    (stored, trail.conclude(Criterion::Store, found))
}

async fn store(trail: &Trail<'_>, client: &Client) -> Result<(Stored, Duration), Finding> {
    let script = &trail.run.script;
    let (episode, batch) = (script.episode(), script.batch());
    let began = Instant::now();
    let first = trail.send(Request::post("/v1/memories", &episode), client.store(&episode)).await?;
    let between = Instant::now();
    let request = Request::post("/v1/memories/batch", &batch);
    let rest = trail.send(request, client.store_batch(&script.group, &batch)).await?;
    let slowest = (between - began).max(between.elapsed());
    let text = |episode: NewEpisode| episode.episode_content;
    let texts: Vec<String> = batch.episodes.into_iter().map(text).collect();
    if rest.ids.len() != texts.len() {
        return Err(Finding::failed(
            format!("{} messages were sent together, and {} ids came back", texts.len(), rest.ids.len()),
            "upgrade the instance, or check that no other program answers at its address",
        ));
    }
    let mut messages = vec![(first.id, text(episode))];
    messages.extend(rest.ids.into_iter().zip(texts));
    Ok((Stored { messages }, slowest))
}
