use memcloud_domain::{Error, Field, Member, NewEpisode, Purpose};
use memcloud_memory::{Limits, Memory, RankingWeights, StoreRequest};
use memcloud_ports::{Embedder, Waiting};
use serde_json::{Value, json};

use crate::world::{World, contents, message, query, request, space, store};

fn metadata(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn stored_episodes_are_returned_as_given() {
    let world = World::new().await;
    let new = NewEpisode {
        produced_for: "Bob".into(),
        role: "user".into(),
        metadata: metadata(&json!({"mood": "good", "image_caption": "a red kite"})),
        ..message("Ann", "Look at this!")
    };
    let stored = store(&world.memory, request(vec![new.clone(), message("Bob", "Nice.")])).await.unwrap();
    assert_eq!((stored.ids.len(), stored.repeated), (2, false));
    let episodes = world.engine.episodes.episodes(&space(), &stored.ids).await.unwrap();
    assert_eq!(episodes.iter().map(|episode| episode.id).collect::<Vec<_>>(), stored.ids);
    let first = &episodes[0];
    assert_eq!((&first.content, &first.metadata, &first.role), (&new.content, &new.metadata, &new.role));
    assert_eq!(first.created_at, first.ingested_at, "without a time of its own it happened now");
    let session = world.engine.sessions.session(&space(), "s", 9).await.unwrap().unwrap();
    assert_eq!(session.members.len(), 3);
    assert_eq!(world.embedder.texts(), ["Look at this! a red kite", "Nice."], "captions are embedded too");
}

#[tokio::test]
async fn a_request_that_breaks_a_rule_stores_nothing() {
    let limits = Limits { content_bytes: 10, name_bytes: 4, ..Limits::default() };
    let world = World::with_limits(limits).await;
    for (episode, field) in [
        (message("Ann", " \n"), Field::Content),
        (message("Ann", "eleven char"), Field::Content),
        (message("Ann", "nul \0"), Field::Content),
        (message("Carol", "hi"), Field::Producer),
        (NewEpisode { kind: "letter".into(), ..message("Ann", "hi") }, Field::Kind),
        (
            NewEpisode { metadata: metadata(&json!({"a": [{"b": "\0"}]})), ..message("Ann", "hi") },
            Field::Metadata,
        ),
    ] {
        let episode =
            NewEpisode { kind: if field == Field::Kind { episode.kind } else { "text".into() }, ..episode };
        let first = NewEpisode { kind: "text".into(), ..message("Ann", "fine") };
        let request = StoreRequest { members: vec![], ..request(vec![first, episode]) };
        match store(&world.memory, request).await {
            Err(Error::Invalid(violations)) => {
                assert!(violations.iter().any(|v| v.field == field), "{violations:?}");
            }
            other => panic!("{field:?}: {other:?}"),
        }
    }
    assert_eq!(world.engine.episodes.counts().await.unwrap().episodes, 0);
    assert!(world.embedder.texts().is_empty(), "nothing was embedded");
}

#[tokio::test]
async fn a_repeated_request_stores_and_embeds_once() {
    let world = World::new().await;
    let keyed = |value: &Value, content: &str| StoreRequest {
        idempotency_key: Some("key".into()),
        ..request(vec![NewEpisode { metadata: metadata(value), ..message("Ann", content) }])
    };
    let first = store(&world.memory, keyed(&json!({"a": 1, "b": {"c": 2, "d": 3}}), "Hi")).await.unwrap();
    let second = store(&world.memory, keyed(&json!({"b": {"d": 3, "c": 2}, "a": 1}), "Hi")).await.unwrap();
    assert_eq!((second.ids, second.repeated), (first.ids, true), "the order of metadata does not matter");
    assert_eq!(world.embedder.count("Hi"), 1);
    let mut with_cleo = keyed(&json!({"a": 1, "b": {"c": 2, "d": 3}}), "Hi");
    with_cleo.members[0].members.push(Member::User("Cleo".into()));
    assert!(store(&world.memory, with_cleo).await.unwrap().repeated);
    let cleo = world.engine.sessions.members(&space(), "s", &["Cleo".into()]).await.unwrap();
    assert_eq!(cleo, [Member::User("Cleo".into())], "a member whom only the repetition names is recorded");
    let other = store(&world.memory, keyed(&json!({"a": 1}), "Hi")).await;
    assert!(matches!(other, Err(Error::IdempotencyConflict)), "{other:?}");
    assert_eq!(world.engine.episodes.counts().await.unwrap().episodes, 1);
}

#[tokio::test]
async fn only_messages_of_people_are_queued_for_learning() {
    let world = World::learning().await;
    let purposes = [Purpose::Recall, Purpose::Transcript, Purpose::ProfileOnly];
    for (producer, role, queued) in
        [("Ann", "", [1, 0, 1]), ("Ann", "assistant", [0, 0, 1]), ("Bot", "", [0, 0, 1])]
    {
        for (purpose, queued) in purposes.into_iter().zip(queued) {
            let before = world.engine.learning.waiting(None).await.unwrap().waiting;
            let episode = NewEpisode { role: role.into(), purpose, ..message(producer, "I like tea.") };
            store(&world.memory, request(vec![episode])).await.unwrap();
            let Waiting { waiting, .. } = world.engine.learning.waiting(None).await.unwrap();
            assert_eq!(waiting - before, queued, "{producer} {role} {purpose:?}");
        }
    }
}

#[tokio::test]
async fn without_a_learner_nothing_is_queued_except_what_is_for_the_profile_only() {
    let world = World::new().await;
    store(&world.memory, request(vec![message("Ann", "I like tea.")])).await.unwrap();
    assert_eq!(world.engine.learning.waiting(None).await.unwrap().waiting, 0);
    let only = NewEpisode { purpose: Purpose::ProfileOnly, ..message("Ann", "I like tea.") };
    store(&world.memory, request(vec![only])).await.unwrap();
    assert_eq!(world.engine.learning.waiting(None).await.unwrap().waiting, 1);
}

#[tokio::test]
async fn the_backlog_is_embedded_when_there_is_an_embedder() {
    let world = World::new().await;
    let wordless = world.reopened(false).await;
    store(&wordless, request(vec![message("Ann", "The keys hang in the hall.")])).await.unwrap();
    assert_eq!(wordless.embed_backlog(10).await.unwrap(), 0, "without an embedder there is nothing to do");
    assert_eq!(world.engine.episodes.counts().await.unwrap().without_vector, 1);
    let found = world.memory.search(&query("keys hang", 1)).await.unwrap();
    assert!(found.hits[0].explanation.parts.meaning.abs() < 1e-6, "it is found by its words");
    assert_eq!(world.memory.embed_backlog(10).await.unwrap(), 1);
    assert_eq!(world.memory.embed_backlog(10).await.unwrap(), 0);
    assert_eq!(world.engine.episodes.counts().await.unwrap().without_vector, 0);
    let found = world.memory.search(&query("keys hang", 1)).await.unwrap();
    assert_eq!(contents(&found.hits), ["The keys hang in the hall."]);
}

/// A model of this space whose vectors have one number.
struct Constant(&'static str, f32);

#[async_trait::async_trait]
impl Embedder for Constant {
    async fn embed_query(&self, _: &str) -> Result<Vec<f32>, Error> {
        Ok(vec![self.1])
    }
    async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        Ok(vec![vec![self.1]; texts.len()])
    }
    fn space(&self) -> &'static str {
        self.0
    }
    fn dimensions(&self) -> usize {
        1
    }
}

#[tokio::test]
async fn vectors_of_another_model_are_refused() {
    let world = World::new().await;
    let embedder = Some(std::sync::Arc::new(Constant("test/other/1", 1.0)) as _);
    let (limits, weights) = (Limits::default(), RankingWeights::default());
    let opened = Memory::open(world.engine.clone(), embedder, world.clock.clone(), limits, weights).await;
    assert!(matches!(opened, Err(Error::OtherVectorSpace { .. })));
}

#[tokio::test]
async fn vectors_that_are_not_finite_are_neither_stored_nor_scored() {
    for broken in [f32::NAN, f32::INFINITY, 1e6] {
        let world = World::new().await;
        let space = world.embedder.space().to_owned();
        let embedder = Some(std::sync::Arc::new(Constant(space.leak(), broken)) as _);
        let (limits, weights) = (Limits::default(), RankingWeights::default());
        let memory =
            Memory::open(world.engine.clone(), embedder, world.clock.clone(), limits, weights).await.unwrap();
        let refused = store(&memory, request(vec![message("Ann", "The keys hang in the hall.")])).await;
        assert!(matches!(refused, Err(Error::Embedding(_))), "{refused:?}");
        assert_eq!(world.engine.episodes.counts().await.unwrap().episodes, 0);
        let ids = world.tell(&["Ann: The keys hang in the hall.", "Ann: Tea is in the tin."]).await;
        let vector = vec![half::f16::NAN; world.embedder.dimensions()];
        world.engine.vectors.set_vectors(vec![(ids[0], vector)]).await.unwrap();
        let found = world.memory.search(&query("keys hang", 2)).await.unwrap();
        assert_eq!(found.hits[0].episode.id, ids[0], "it is found by its words");
        assert!(found.hits.iter().all(|hit| hit.score.is_finite()));
    }
}
