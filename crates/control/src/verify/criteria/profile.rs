use std::time::Duration;

use memcloud_api::memmachine_v1::Fact;
use memcloud_client::{Client, FactQuery};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::instances::Reason;
use crate::verify::run::{Run, no_model};
use crate::verify::script::Script;
use crate::verify::trail::{Finding, Request, Trail};
use crate::verify::{Criterion, Evidence};

/// The pause between two looks at the facts, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Waits until a fact with the random name of the person's city was learned from the messages that were stored. Nothing is
/// waited for any more when a chat failed: the learner uses the same language model.
pub(in crate::verify) async fn check(
    run: &Run<'_>,
    client: &Client,
    chat_failed: &CancellationToken,
) -> Evidence {
    if !run.options.has_llm {
        return run.not_checked(Criterion::Profile, no_model());
    }
    let trail = Trail::of(run);
    let found = chat_failed.run_until_cancelled(learned(&trail, client)).await;
    let found = found.unwrap_or_else(|| {
        Err(Finding::failed(
            "no fact was learned before a chat failed",
            "check that the language model answers; the criterion 'chat' has what it said",
        ))
    });
    trail.conclude(Criterion::Profile, found)
}

async fn learned(trail: &Trail<'_>, client: &Client) -> Result<(), Finding> {
    let Script { group, city, .. } = &trail.run.script;
    let person = Script::person();
    let query = FactQuery { group_id: group.clone(), user_id: Some(person.into()), as_of: None };
    let path = format!("/v1/memories/profile?group_id={group}&user_id={person}");
    let until = Instant::now() + trail.run.options.learning_limit.min(trail.left());
    let is_city = |fact: &Fact| fact.value.to_lowercase().contains(&city.to_lowercase());
    let mut pause = FIRST_PAUSE;
    loop {
        let facts = trail.send(Request::get(&path), client.facts(&query)).await?.facts;
        if facts.iter().any(is_city) {
            return Ok(());
        }
        can_learn(trail, client, group).await?;
        if Instant::now() >= until {
            let seconds = trail.run.options.learning_limit.as_secs();
            return Err(Finding::failed(
                format!("'I live in {city}.' was said, and no fact with it was learned within {seconds} s"),
                "check that the language model answers and follows instructions; the log of the instance names its errors",
            ));
        }
        let _ = trail.limited(pause, std::future::pending::<()>()).await?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Fails early when the instance does not learn, or has given up on these messages.
async fn can_learn(trail: &Trail<'_>, client: &Client, group: &str) -> Result<(), Finding> {
    let path = format!("/v1/memories/profile/queue?group_id={group}");
    let queue = trail.send(Request::get(&path), client.profile_queue(Some(group))).await?;
    if !queue.learning {
        return Err(Finding::not_checked(Reason::new(
            "the instance does not learn facts",
            "turn on learning in the settings of the instance, then verify it",
        )));
    }
    match queue.parked_messages.first() {
        Some(parked) => Err(Finding::failed(
            format!("learning failed {} times: {}", parked.attempts, parked.reason),
            "check that the language model answers and follows instructions",
        )),
        None => Ok(()),
    }
}
