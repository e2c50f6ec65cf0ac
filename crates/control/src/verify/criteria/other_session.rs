use memcloud_client::Client;

use super::search::find_first;
use super::store::Stored;
use crate::verify::run::Run;
use crate::verify::trail::Trail;
use crate::verify::{Criterion, Evidence};

/// A session in which nothing was said.
const SESSION: &str = "another-day";

/// Asks in another session of the group: the message of the first session must be the first hit.
pub(in crate::verify) async fn check(run: &Run<'_>, client: &Client, stored: &Stored) -> Evidence {
    let trail = Trail::of(run);
    let found = find_first(&trail, client, stored, &run.script.first, SESSION).await;
    trail.conclude(Criterion::OtherSession, found)
}
