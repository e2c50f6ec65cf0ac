//! What a user of a memory over the engine relies on.

use std::sync::Arc;

use memcloud_domain::{
    EpisodeId, Filter, Member, NewEpisode, Predicate, Purpose, Scalar, Space, SystemClock,
};
use memcloud_memory::{Limits, Memory, RankingWeights, SearchQuery, SessionMembers, StoreRequest};
use memcloud_ports::Deletion;
use proptest::prelude::*;
use serde_json::json;

use crate::episodes::{minute, said, space};
use crate::{BagOfWords, Store};

/// A memory over a store, with the model of the tests.
pub async fn memory(store: Store) -> Memory {
    let embedder = Some(Arc::new(BagOfWords) as _);
    Memory::open(store, embedder, Arc::new(SystemClock), Limits::default(), RankingWeights::default())
        .await
        .unwrap()
}

fn request(space: &Space, episodes: Vec<NewEpisode>) -> StoreRequest {
    let members = episodes
        .iter()
        .map(|e| SessionMembers {
            session: e.session.clone(),
            members: vec![Member::User(e.producer.clone())],
        })
        .collect();
    StoreRequest { space: space.clone(), members, episodes, idempotency_key: None }
}

pub(crate) async fn store(memory: &Memory, space: &Space, episodes: Vec<NewEpisode>) -> Vec<EpisodeId> {
    memory.store(request(space, episodes)).await.unwrap().ids
}

async fn find(memory: &Memory, space: &Space, text: &str, filter: Filter, limit: usize) -> Vec<EpisodeId> {
    let question = SearchQuery { space: space.clone(), text: text.into(), filter, limit };
    memory.search(question).await.unwrap().hits.iter().map(|hit| hit.episode.id).collect()
}

/// The very next search finds what was stored, and no longer finds what was deleted.
pub async fn stored_is_found_at_once(engine: Store) {
    let (memory, space) = (memory(engine).await, space("at-once"));
    assert!(find(&memory, &space, "Where are the keys?", Filter::default(), 5).await.is_empty());
    let chat =
        ["The keys hang in the hall", "Bread is on the table", "Trains leave at noon", "It rains in June"];
    let mut ids = Vec::new();
    for (n, content) in chat.iter().enumerate() {
        ids.extend(store(&memory, &space, vec![said("s", "ann", content)]).await);
        assert_eq!(find(&memory, &space, content, Filter::default(), 9).await.len(), n + 1);
        assert_eq!(find(&memory, &space, content, Filter::default(), 1).await, ids[n..], "{content}");
    }
    assert_eq!(memory.forget(&space, Deletion::Episodes(vec![ids[0]])).await.unwrap(), 1);
    let left = find(&memory, &space, "Where are the keys?", Filter::default(), 9).await;
    assert!(left.len() == 3 && !left.contains(&ids[0]));
    memory.forget(&space, Deletion::Session("s".into())).await.unwrap();
    assert!(find(&memory, &space, "keys", Filter::default(), 9).await.is_empty());
}

/// A batch without times comes back in the order in which it was sent.
pub async fn a_batch_keeps_its_order(engine: Store) {
    let (memory, space) = (memory(engine).await, space("order"));
    let said: Vec<_> = (0..300).map(|n| said("s", "ann", &format!("number {n}"))).collect();
    let ids = store(&memory, &space, said).await;
    let page = memory.page(&space, None, None, 300).await.unwrap();
    assert_eq!(page.iter().map(|episode| episode.id).collect::<Vec<_>>(), ids);
    let newest = memory.newest(&space, "s", 3).await.unwrap();
    assert_eq!(newest.iter().map(|episode| episode.id).collect::<Vec<_>>(), ids[297..]);
}

/// A history that is imported backwards is linked as one that came in order.
pub async fn a_history_may_come_backwards(engine: Store) {
    let (memory, space) = (memory(engine).await, space("backwards"));
    for n in (0..400).rev() {
        let content =
            if n == 200 { "the treasure is under the oak".to_owned() } else { format!("filler number {n}") };
        let message = NewEpisode { created_at: Some(minute(n)), ..said("s", "ann", &content) };
        store(&memory, &space, vec![message]).await;
    }
    let question = || SearchQuery {
        space: space.clone(),
        text: "Where is the treasure?".into(),
        filter: Filter::default(),
        limit: 2,
    };
    let hits = memory.search(question()).await.unwrap().hits;
    assert_eq!(hits[0].episode.content, "the treasure is under the oak");
    assert_eq!(hits[1].episode.content, "filler number 201", "what was said after it comes next");
}

/// What is kept for the profile only is stored, but no search and no listing of newest turns shows it.
pub async fn profile_only_is_never_found(engine: Store) {
    let (memory, space) = (memory(engine).await, space("profile-only"));
    let private = NewEpisode { purpose: Purpose::ProfileOnly, ..said("s", "ann", "I like plums") };
    let ids = store(&memory, &space, vec![private, said("s", "ann", "I like pears")]).await;
    assert_eq!(find(&memory, &space, "plums", Filter::default(), 9).await, ids[1..]);
    assert_eq!(memory.newest(&space, "s", 9).await.unwrap().len(), 1);
    assert_eq!(memory.episodes(&space, &ids).await.unwrap().len(), 2);
}

/// Eight clients store and search at once; each finds what it has just stored, and nothing is lost or doubled.
pub async fn many_clients_at_once(engine: Store) {
    let memory = Arc::new(memory(engine).await);
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let memory = memory.clone();
            tokio::spawn(async move {
                let space = space(if client % 2 == 0 { "even" } else { "odd" });
                for n in 0..12 {
                    let content = format!("thought{client}x{n} of client {client}");
                    let ids = store(&memory, &space, vec![said("s", "ann", &content)]).await;
                    assert_eq!(find(&memory, &space, &content, Filter::default(), 1).await, ids, "{content}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(memory.counts().await.unwrap().episodes, 96);
    assert_eq!(find(&memory, &space("even"), "thought", Filter::default(), 500).await.len(), 48);
}

/// The same request under the same key, one after the other and at once, stores once and answers the same ids.
pub async fn a_retry_answers_the_same(engine: Store) {
    let memory = Arc::new(memory(engine).await);
    let space = space("retry");
    let request = StoreRequest {
        idempotency_key: Some("monday".into()),
        ..request(&space, vec![said("s", "ann", "one"), said("s", "bob", "two")])
    };
    let tries: Vec<_> = (0..6)
        .map(|_| {
            let (memory, request) = (memory.clone(), request.clone());
            tokio::spawn(async move { memory.store(request).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for attempt in tries {
        answers.push(attempt.await.unwrap());
    }
    assert!(answers.iter().all(|answer| answer.ids == answers[0].ids));
    assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
    assert_eq!(memory.page(&space, None, None, 9).await.unwrap().len(), 2);
}

/// Without a model a memory finds by words, and takes up the vectors when a model comes.
pub async fn without_a_model_words_find(engine: Store) {
    let open = async |embedder| {
        Memory::open(
            engine.clone(),
            embedder,
            Arc::new(SystemClock),
            Limits::default(),
            RankingWeights::default(),
        )
        .await
        .unwrap()
    };
    let space = space("words");
    let wordy = open(None).await;
    let ids =
        store(&wordy, &space, vec![said("s", "ann", "The cat sleeps"), said("s", "ann", "Dogs bark")]).await;
    assert_eq!(find(&wordy, &space, "Is a cat asleep?", Filter::default(), 1).await, ids[..1]);
    let wise = open(Some(Arc::new(BagOfWords) as _)).await;
    assert_eq!(wise.embed_backlog(10).await.unwrap(), 2);
    assert_eq!(wise.embed_backlog(10).await.unwrap(), 0);
    assert_eq!(find(&wise, &space, "dogs bark", Filter::default(), 1).await, ids[1..]);
}

/// Something that a client does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Stores a message in one of three sessions: words, producer, minutes before or after the hour, colour.
    Store(u8, Vec<u8>, u8, i64, u8),
    /// Deletes one of the messages stored so far.
    Delete(usize),
    /// Deletes a session.
    DeleteSession(u8),
    /// Asks, so that the index is brought up to date at this point.
    Ask,
}

/// Any row of deeds.
pub fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        8 => (0..3u8, prop::collection::vec(0..12u8, 1..6), 0..3u8, -900..900i64, 0..4u8)
            .prop_map(|(session, words, who, when, colour)| Deed::Store(session, words, who, when, colour)),
        2 => any::<usize>().prop_map(Deed::Delete),
        1 => (0..3u8).prop_map(Deed::DeleteSession),
        2 => Just(Deed::Ask),
    ];
    prop::collection::vec(deed, 1..40)
}

const WORDS: [&str; 12] = [
    "apple",
    "river",
    "walking",
    "blue",
    "yesterday",
    "music?",
    "Bob",
    "house",
    "the",
    "seven",
    "June",
    "running",
];
const PEOPLE: [&str; 3] = ["Ann", "Bob", "Cleo"];
const COLOURS: [&str; 4] = ["red", "green", "blue", "7"];

/// Whatever clients do: an index that was kept up to date answers as one built anew, and a filter lets through exactly
/// the episodes that match it.
pub async fn any_deeds_leave_the_truth(engine: Store, deeds: Vec<Deed>) {
    let space = space("deeds");
    let kept = memory(engine.clone()).await;
    let mut stored = Vec::new();
    for deed in deeds {
        match deed {
            Deed::Store(session, words, who, when, colour) => {
                let words: Vec<&str> = words.iter().map(|&w| WORDS[usize::from(w)]).collect();
                let metadata = json!({"colour": COLOURS[usize::from(colour)], "n": colour});
                let new = NewEpisode {
                    created_at: Some(minute(when)),
                    metadata: metadata.as_object().unwrap().clone(),
                    ..said(&format!("session-{session}"), PEOPLE[usize::from(who)], &words.join(" "))
                };
                stored.extend(store(&kept, &space, vec![new]).await);
            }
            Deed::Delete(n) if !stored.is_empty() => {
                let id = stored[n % stored.len()];
                kept.forget(&space, Deletion::Episodes(vec![id])).await.unwrap();
            }
            Deed::Delete(_) => {}
            Deed::DeleteSession(session) => {
                kept.forget(&space, Deletion::Session(format!("session-{session}"))).await.unwrap();
            }
            Deed::Ask => drop(find(&kept, &space, "apple house", Filter::default(), 3).await),
        }
    }
    let anew = memory(engine).await;
    let truth = kept.page(&space, None, None, 1_000).await.unwrap();
    for text in ["When did Bob go running?", "a blue river yesterday", "apple"] {
        for filter in filters() {
            let found = find(&kept, &space, text, filter.clone(), 1_000).await;
            assert_eq!(found, find(&anew, &space, text, filter.clone(), 1_000).await, "{text} {filter:?}");
            let mut found = found;
            found.sort_unstable();
            let mut matching: Vec<EpisodeId> =
                truth.iter().filter(|episode| filter.matches(episode)).map(|episode| episode.id).collect();
            matching.sort_unstable();
            assert_eq!(found, matching, "{text} {filter:?}");
        }
    }
}

fn filters() -> Vec<Filter> {
    let of = |all: Vec<Predicate>| Filter { all };
    let blue = || Predicate::Metadata("colour".into(), Scalar::Text("blue".into()));
    vec![
        Filter::default(),
        of(vec![Predicate::Producer("Bob".into())]),
        of(vec![Predicate::Session("session-1".into()), blue()]),
        of(vec![blue(), Predicate::Metadata("n".into(), Scalar::Number(2.0))]),
        of(vec![Predicate::Metadata("colour".into(), Scalar::Number(7.0))]),
        of(vec![Predicate::Kind("message".into()), Predicate::ProducedFor(String::new())]),
        of(vec![Predicate::Created(memcloud_domain::TimeRange { start: minute(-100), end: minute(500) })]),
        of(vec![Predicate::Producer("nobody".into())]),
    ]
}
