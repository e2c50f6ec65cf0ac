use memcloud_client::Client;

use super::store::Stored;
use crate::verify::run::Run;
use crate::verify::script::{SESSION, Secret};
use crate::verify::trail::{Finding, Request, Trail};
use crate::verify::{Criterion, Evidence};

/// Asks for each random word: the message that says it must be the first hit, before the messages that are similar.
pub(in crate::verify) async fn check(run: &Run<'_>, client: &Client, stored: &Stored) -> Evidence {
    let trail = Trail::of(run);
    let script = &run.script;
    let finds = |secret| find_first(&trail, client, stored, secret, SESSION);
    let [second, third] = &script.others;
    let (first, second, third) = tokio::join!(finds(&script.first), finds(second), finds(third));
    let found = first.and(second).and(third);
    trail.conclude(Criterion::Search, found)
}

/// Searches in a session, and checks that the first hit is the message of this secret, word for word and with its id.
pub(super) async fn find_first(
    trail: &Trail<'_>,
    client: &Client,
    stored: &Stored,
    secret: &Secret,
    session: &str,
) -> Result<(), Finding> {
    let query = trail.run.script.query(session, &secret.question);
    let request = Request::post("/v1/memories/search?shape=list", &query);
    let hits = trail.send(request, client.search(&query)).await?;
    let id = stored.id(&secret.said).map(|id| id.0.to_string());
    let is_it = |uuid: &str, content: &str| id.as_deref() == Some(uuid) && content == secret.said;
    match hits.iter().position(|hit| is_it(&hit.episode.uuid, &hit.episode.content)) {
        Some(0) => Ok(()),
        Some(place) => Err(Finding::failed(
            format!(
                "the right message was hit number {} for '{}', not the first",
                place + 1,
                secret.question
            ),
            "check that the instance has its embedding model: 'memcloud doctor' shows it",
        )),
        None => Err(Finding::failed(
            format!(
                "the message that was stored was not among the {} hits for '{}'",
                hits.len(),
                secret.question
            ),
            "check the readiness and the log of the instance",
        )),
    }
}
