use std::time::Duration;

use memcloud_client::{Client, ListQuery};
use tokio::time::Instant;

use super::search::find_first;
use super::store::Stored;
use crate::verify::script::SESSION;
use crate::verify::trail::{Finding, Request, Trail};
use crate::verify::{Criterion, Evidence, Restart};

/// More messages than a verification stores.
const MESSAGES: usize = 100;
const LOST: &str =
    "check that the data directory or the database of the instance is on a disk that keeps what is written";

/// Restarts the process, and notes how long that took.
pub(in crate::verify) async fn restart(trail: &Trail<'_>, restart: &dyn Restart) -> Result<Client, Finding> {
    let began = Instant::now();
    let restarted = match trail.limited(Duration::MAX, restart.restart()).await? {
        Ok(restarted) => restarted,
        Err(limit) => Err(crate::Reason::new(
            format!("the restart took more than {:.0} s", limit.as_secs_f64()),
            "read the log of the instance",
        )),
    };
    let received = match &restarted {
        Ok(_) => format!("ready after {:.0} ms", began.elapsed().as_secs_f64() * 1_000.0),
        Err(reason) => reason.message.clone(),
    };
    trail.note("restart of the process".into(), &received);
    Ok(restarted?)
}

/// After the restart, the same messages are found, and the list has every message that was answered as stored, word for
/// word and with its id.
pub(in crate::verify) async fn check(trail: Trail<'_>, client: &Client, stored: &Stored) -> Evidence {
    let script = &trail.run.script;
    let finds = |secret| find_first(&trail, client, stored, secret, SESSION);
    let (first, other, listed) =
        tokio::join!(finds(&script.first), finds(&script.others[0]), is_listed(&trail, client, stored));
    let found = first.and(other).and(listed);
    trail.conclude(Criterion::Persistence, found)
}

async fn is_listed(trail: &Trail<'_>, client: &Client, stored: &Stored) -> Result<(), Finding> {
    let group = &trail.run.script.group;
    let query = ListQuery { group_id: group.clone(), limit: MESSAGES, ..ListQuery::default() };
    let path = format!("/v1/memories?group_id={group}&limit={MESSAGES}");
    let page = trail.send(Request::get(&path), client.list(&query)).await?;
    let is_there = |(id, text): &&(_, String)| {
        page.episodes.iter().any(|listed| listed.id == *id && listed.episode.content == *text)
    };
    let (all, kept) = (stored.messages().len(), stored.messages().iter().filter(is_there).count());
    if kept == all {
        return Ok(());
    }
    Err(Finding::failed(
        format!("after the restart {} of {all} stored messages are missing", all - kept),
        LOST,
    ))
}
