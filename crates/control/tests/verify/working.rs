//! Instances that work, and instances that almost do.

use std::time::Duration;

use async_trait::async_trait;
use memcloud_api::memmachine_v1::{NewEpisode, Session};
use memcloud_client::{Client, SpacesQuery};
use memcloud_control::Reason;
use memcloud_control::verify::{
    CapabilityState, Criterion, Options, Outcome, Restart, capabilities, verdict, verify,
};
use memcloud_domain::{Clock, SystemClock};
use memcloud_fake_llm::{FakeLlm, Fault};

use crate::running::{RestartBy, Running};
use crate::{outcome, with_outcome};

const WITHOUT_LLM: [Criterion; 5] = [
    Criterion::Store,
    Criterion::Search,
    Criterion::OtherSession,
    Criterion::NoTimeout,
    Criterion::Persistence,
];

/// The names of the spaces of an instance.
async fn spaces(client: &Client) -> Vec<String> {
    let page = client.spaces(&SpacesQuery::default()).await.unwrap();
    page.spaces.into_iter().map(|space| space.project).collect()
}

async fn store(client: &Client, group: &str) {
    let session = Session { group_id: group.into(), session_id: "s".into(), ..Session::default() };
    let said = NewEpisode {
        session: Some(session),
        episode_content: "What is the code word for the boat house?".into(),
        ..NewEpisode::default()
    };
    client.store(&said).await.unwrap();
}

#[tokio::test]
async fn an_instance_without_models_passes_and_keeps_nothing_of_it() {
    let running = Running::start().await;
    for group in ["memcloud-verification-0123", "memcloud-verification-4567", "mine"] {
        store(&running.client, group).await;
    }
    let evidence = verify(&running.client, &Options::new(false), &running, &SystemClock).await;
    assert_eq!(with_outcome(&evidence, Outcome::Passed), WITHOUT_LLM, "{evidence:#?}");
    for criterion in [Criterion::Profile, Criterion::Chat] {
        assert_eq!(
            outcome(&evidence, criterion),
            (Outcome::NotChecked, "no language model is set".to_owned())
        );
    }
    verdict(&evidence).unwrap();
    let states: Vec<_> =
        capabilities(&evidence, SystemClock.now()).into_iter().map(|capability| capability.state).collect();
    let (yes, unknown) = (CapabilityState::Yes, CapabilityState::NotChecked);
    assert_eq!(states, [yes, yes, unknown, unknown]);
    let store = &evidence[0];
    assert!(store.sent.starts_with("POST /v1/memories {\"session\":{\"group_id\":\"memcloud-verification-"));
    assert!(store.sent.contains("\nPOST /v1/memories/batch {") && store.received.contains("episode-"));
    let again = running.restart().await.unwrap();
    assert_eq!(spaces(&again).await, ["mine"]);
}

#[tokio::test]
async fn an_instance_with_a_language_model_chats_and_learns() {
    let model = FakeLlm::start(memcloud_fake_llm::Options::default()).unwrap();
    let running = Running::with_llm(&model).await;
    let evidence = verify(&running.client, &Options::new(true), &running, &SystemClock).await;
    assert_eq!(with_outcome(&evidence, Outcome::Passed).len(), 7, "{evidence:#?}");
    let again = running.restart().await.unwrap();
    assert!(spaces(&again).await.is_empty());
}

#[tokio::test]
async fn a_language_model_that_fails_fails_what_needs_it_alone() {
    let model = FakeLlm::start(memcloud_fake_llm::Options::default()).unwrap();
    model.set_faults(Fault::Status { status: 401, retry_after: None });
    let running = Running::with_llm(&model).await;
    let options = Options { learning_limit: Duration::from_millis(500), ..Options::new(true) };
    let evidence = verify(&running.client, &options, &running, &SystemClock).await;
    assert_eq!(with_outcome(&evidence, Outcome::Passed), WITHOUT_LLM, "{evidence:#?}");
    let (chat, profile) = (outcome(&evidence, Criterion::Chat), outcome(&evidence, Criterion::Profile));
    assert!(chat.0 == Outcome::Failed && chat.1.contains("401"), "{chat:?}");
    assert!(profile.0 == Outcome::Failed && profile.1.contains("no fact"), "{profile:?}");
    assert!(verdict(&evidence).unwrap_err().message.starts_with("profile: "));
}

#[tokio::test]
async fn an_instance_that_does_not_come_back_is_not_persistent() {
    let running = Running::start().await;
    let restart = RestartBy(|| Err(Reason::new("the port is taken", "free the port")));
    let evidence = verify(&running.client, &Options::new(true), &restart, &SystemClock).await;
    assert_eq!(outcome(&evidence, Criterion::Persistence), (Outcome::Failed, "the port is taken".to_owned()));
    assert_eq!(with_outcome(&evidence, Outcome::NotChecked), [Criterion::Profile, Criterion::Chat]);
    assert!(spaces(&running.client).await.is_empty(), "its space is deleted nevertheless");
}

#[tokio::test]
async fn an_interrupted_verification_fails_nothing_and_cleans_up() {
    struct Interrupts(Options);
    #[async_trait]
    impl Restart for Interrupts {
        async fn restart(&self) -> Result<Client, Reason> {
            self.0.stop.cancel();
            std::future::pending().await
        }
    }
    let running = Running::start().await;
    let interrupts = Interrupts(Options::new(false));
    let evidence = verify(&running.client, &interrupts.0, &interrupts, &SystemClock).await;
    assert_eq!(with_outcome(&evidence, Outcome::Failed), []);
    assert_eq!(
        outcome(&evidence, Criterion::Persistence),
        (Outcome::NotChecked, "the verification was interrupted".to_owned())
    );
    assert!(verdict(&evidence).is_err(), "it has not passed");
    assert!(spaces(&running.client).await.is_empty());
}

#[tokio::test]
async fn an_instance_that_is_not_there_fails_at_once() {
    let running = Running::start().await;
    running.stop().await;
    let evidence = verify(&running.client, &Options::new(false), &running, &SystemClock).await;
    let (store, timeout) = (outcome(&evidence, Criterion::Store), outcome(&evidence, Criterion::NoTimeout));
    assert!(store.0 == Outcome::Failed && store.1.contains("could not be reached"), "{store:?}");
    assert_eq!(store, timeout);
}
