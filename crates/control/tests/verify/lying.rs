//! Every lie is found, by the criterion that it concerns, and none makes a verification wait for ever.

use std::time::Duration;

use memcloud_control::verify::{Criterion, Evidence, Options, Outcome, verdict, verify};
use memcloud_domain::SystemClock;

use crate::liar::{Liar, Lie};
use crate::{outcome, with_outcome};

use Criterion::{Chat, NoTimeout, OtherSession, Persistence, Profile, Search, Store};

async fn verified(lie: Lie, options: &Options) -> Vec<Evidence> {
    let liar = Liar::start(lie).await;
    let evidence = verify(&liar.client, options, &liar, &SystemClock).await;
    assert_eq!(evidence.len(), 7);
    let answers = !matches!(lie, Lie::Fails | Lie::Silent | Lie::WebPage);
    assert!(!answers || liar.has_deleted_its_space(), "{lie:?}");
    evidence
}

/// What fails with a lie, when there is no language model, and the reason of the first.
async fn failures(lie: Lie) -> (Vec<Criterion>, String) {
    let options = Options { request_limit: Duration::from_secs(20), ..Options::new(false) };
    let evidence = verified(lie, &options).await;
    let failed = with_outcome(&evidence, Outcome::Failed);
    assert_eq!(verdict(&evidence).is_err(), !failed.is_empty());
    let reason = failed.first().map(|first| outcome(&evidence, *first).1).unwrap_or_default();
    (failed, reason)
}

#[tokio::test]
async fn a_server_that_does_not_lie_passes() {
    assert_eq!(failures(Lie::None).await, (vec![], String::new()));
}

#[tokio::test]
async fn wrong_hits_fail_every_search() {
    for lie in [Lie::FindsNothing, Lie::WrongFirst, Lie::NewestFirst, Lie::Invents] {
        let (failed, reason) = failures(lie).await;
        assert_eq!(failed, [Search, OtherSession, Persistence], "{lie:?}");
        let says = if lie == Lie::WrongFirst { "hit number 2" } else { "hit" };
        assert!(reason.contains(says), "{lie:?}: {reason}");
    }
}

#[tokio::test]
async fn a_slow_store_fails_although_everything_is_right() {
    let (failed, reason) = failures(Lie::Slow).await;
    assert_eq!(failed, [Store]);
    assert!(reason.contains("a store took 2.") && reason.ends_with("the limit is 2 s"), "{reason}");
}

#[tokio::test]
async fn data_that_a_restart_loses_fail_persistence_alone() {
    for (lie, says) in [
        (Lie::LosesAll, "not among the 0 hits"),
        (Lie::LosesOne, "after the restart 1 of 8 stored messages are missing"),
        (Lie::Renames, "not among the 3 hits"),
    ] {
        let (failed, reason) = failures(lie).await;
        assert_eq!(failed, [Persistence], "{lie:?}");
        assert!(reason.contains(says) || lie == Lie::LosesOne && reason.contains("not among"), "{reason}");
    }
}

#[tokio::test]
async fn what_is_no_instance_fails_at_the_first_store() {
    for (lie, says) in [
        (Lie::Fails, "HTTP status 500"),
        (Lie::WebPage, "did not answer as an instance does"),
        (Lie::Forgets, "7 messages were sent together, and 6 ids came back"),
    ] {
        let evidence = verified(lie, &Options::new(false)).await;
        assert_eq!(with_outcome(&evidence, Outcome::Failed), [Store], "{lie:?}");
        let (_, reason) = outcome(&evidence, Store);
        assert!(reason.contains(says), "{lie:?}: {reason}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let options = Options { request_limit: Duration::from_millis(300), ..Options::new(true) };
    let evidence = verified(Lie::Silent, &options).await;
    assert_eq!(with_outcome(&evidence, Outcome::Failed), [Store, NoTimeout]);
    assert_eq!(outcome(&evidence, Store).1, "POST /v1/memories was not answered within 0.3 s");
}

#[tokio::test]
async fn the_whole_has_a_time_limit() {
    let options = Options { time_limit: Duration::from_secs(3), ..Options::new(false) };
    let evidence = verified(Lie::Slow, &options).await;
    assert_eq!(with_outcome(&evidence, Outcome::Failed), [Store, NoTimeout]);
    assert_eq!(with_outcome(&evidence, Outcome::Passed), []);
}

#[tokio::test]
async fn plausible_facts_and_chats_without_memory_fail() {
    let options = Options { learning_limit: Duration::from_millis(300), ..Options::new(true) };
    let evidence = verified(Lie::None, &options).await;
    assert_eq!(with_outcome(&evidence, Outcome::Failed), [Profile], "a city that no one named");
    let asked = &evidence.iter().find(|seen| seen.criterion == Profile).unwrap().sent;
    assert_eq!(asked.lines().count(), 2, "repeated requests are shown once: {asked}");
    let evidence = verified(Lie::ChatsWithoutMemory, &options).await;
    assert_eq!(with_outcome(&evidence, Outcome::Failed), [Profile, Chat]);
    let (_, reason) = outcome(&evidence, Chat);
    assert!(reason.starts_with("a chat in the same session did not recall"), "{reason}");
}

#[tokio::test]
async fn a_space_that_is_never_gone_ends_the_wait() {
    let (failed, _) = failures(Lie::NeverDeletes).await;
    assert_eq!(failed, []);
}
