//! Deletes the space of a verification, and those that interrupted ones left behind.

use std::time::Duration;

use memcloud_api::memmachine_v1::ORGANIZATION;
use memcloud_client::{Client, SpacesQuery};
use tokio::time::sleep;

use super::run::Run;
use super::script::PREFIX;
use super::trail::{Finding, Request, Trail};

/// How long deleting may take.
const LIMIT: Duration = Duration::from_secs(15);
/// The pause between two looks at a space that is being deleted.
const PAUSE: Duration = Duration::from_millis(20);
/// How many spaces are listed at once.
const PAGE: usize = 1_000;

/// Deletes the spaces, and waits until they are gone. What cannot be deleted is logged; the next verification finds it.
pub(super) async fn remove(run: &Run<'_>, client: &Client) {
    let trail = Trail::at_last(run, LIMIT);
    let own = delete(&trail, client, &run.script.group).await;
    let left_behind = delete_left_behind(&trail, client).await;
    if let Err(finding) = own.and(left_behind) {
        let reason = finding.message();
        tracing::warn!(instance = client.url(), reason, "cannot delete the space of a verification");
    }
}

async fn delete_left_behind(trail: &Trail<'_>, client: &Client) -> Result<(), Finding> {
    let mut query = SpacesQuery { limit: Some(PAGE), cursor: None };
    loop {
        let page = trail.send(Request::get("/v1/spaces"), client.spaces(&query)).await?;
        let ours = |org: &str, project: &str| org == ORGANIZATION && project.starts_with(PREFIX);
        for space in page.spaces.iter().filter(|space| ours(&space.org, &space.project)) {
            delete(trail, client, &space.project).await?;
        }
        // An answer that names the same page again would be read for ever.
        if page.next_cursor.is_none() || page.next_cursor == query.cursor {
            return Ok(());
        }
        query.cursor = page.next_cursor;
    }
}

/// Deletes a space, and waits until it is gone. One that is not there is gone.
async fn delete(trail: &Trail<'_>, client: &Client, group: &str) -> Result<(), Finding> {
    let path = format!("/v1/spaces/{ORGANIZATION}/{group}");
    let deleted = trail.ask(Request::delete(&path), client.delete_space(ORGANIZATION, group)).await?;
    let mut gone = is_gone(deleted.err())?;
    while !gone {
        sleep(PAUSE).await;
        let space = trail.ask(Request::get(&path), client.space(ORGANIZATION, group)).await?;
        gone = is_gone(space.err())?;
    }
    Ok(())
}

/// Whether a space is gone, when a request for it failed like this or succeeded.
fn is_gone(error: Option<memcloud_client::Error>) -> Result<bool, Finding> {
    match error {
        None => Ok(false),
        Some(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => Ok(true),
        Some(error) => Err(Finding::of(&error)),
    }
}
